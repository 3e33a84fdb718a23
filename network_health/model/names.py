"""Limits the length of names, which any process can choose."""

from __future__ import annotations

#: As long as the longest file name on Linux, so that only a forged name is cut.
MAX_NAME = 255


def bounded_name(name: str) -> str:
    """``name`` with at most `MAX_NAME` characters; the last one of a name that was cut is an ellipsis."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
