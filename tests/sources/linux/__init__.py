"""Tests of the readers in ``network_health/linux``."""
