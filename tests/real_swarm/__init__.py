"""Tests that boot a real swarm."""
