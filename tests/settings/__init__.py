"""Tests of ``network_health/settings``."""
