"""The figures for Prometheus: text, file, endpoint, and all of it under live settings."""
