"""Tests of ``network_health/cli``, most of them through the real entry point."""
