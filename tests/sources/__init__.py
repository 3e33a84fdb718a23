"""Tests of ``network_health/sources``."""
