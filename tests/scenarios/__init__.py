"""Randomised situations whose culprit is known, and whether the report names it."""
