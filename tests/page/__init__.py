"""Tests of the history as text and as a page."""
