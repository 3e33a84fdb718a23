"""Tests of ``network_health/attribution``."""
