"""Tests of ``network_health/reporting``."""
