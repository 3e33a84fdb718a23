"""Defines the result of one check of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: ``ok`` (works), ``note`` (works, but degraded) or ``fault`` (will not work).

    ``says`` is what was found, ``do`` what to do about it; ``do`` is empty if there is nothing to do.
    """

    state: Literal["ok", "note", "fault"]
    subject: str
    says: str
    do: str = ""


def ok(subject: str, says: str, do: str = "") -> Finding:
    """It works; ``do`` is how to use it, if that has to be said."""
    return Finding("ok", subject, says, do)


def note(subject: str, says: str, do: str) -> Finding:
    """It works, but degraded."""
    return Finding("note", subject, says, do)


def fault(subject: str, says: str, do: str) -> Finding:
    """It will not work."""
    return Finding("fault", subject, says, do)
