"""Tests of ``network_health/collectors``."""
