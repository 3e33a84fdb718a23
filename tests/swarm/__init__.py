"""Tests of ``network_health/swarm``."""
