"""Tests of ``network_health/delivery``."""
