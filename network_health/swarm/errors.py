"""Defines the error of this stage, and finds the reason in the output of a failed program."""

from __future__ import annotations


class SwarmError(Exception):
    """One sentence for the operator: what did not work and, where it is known, what to do."""


def last_line(output: str) -> str:
    """The last line that a failed program wrote, which usually is the reason."""
    return (output.strip().splitlines() or ["no error message"])[-1].strip()
