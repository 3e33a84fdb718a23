"""Defines the error of this stage, and finds the reason of a failure."""

from __future__ import annotations


class SwarmError(Exception):
    """One sentence for the operator: what did not work and, where it is known, what to do."""


def last_line(output: str) -> str:
    """The last line that a failed program wrote, which usually is the reason."""
    return (output.strip().splitlines() or ["no error message"])[-1].strip()


def parse_failure(error: Exception) -> str:
    """Why Python cannot read a text that has no syntax error."""
    if isinstance(error, RecursionError | MemoryError):
        return "it is nested too deeply"
    return "a number in it is too long" if "int_max_str_digits" in str(error) else str(error)
