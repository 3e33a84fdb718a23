"""Tests of ``network_health/export``."""
