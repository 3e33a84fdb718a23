"""Tests of ``network_health/alerting``."""
