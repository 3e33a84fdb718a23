"""What the doctor finds: a value, one line of what is and one of what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: all well, worth knowing (it works, with less), or something that will not work.

    ``do`` is what to do about it: empty if nothing has to be done.
    """

    state: Literal["ok", "note", "fault"]
    subject: str
    says: str
    do: str = ""


def ok(subject: str, says: str) -> Finding:
    """All well."""
    return Finding("ok", subject, says)


def note(subject: str, says: str, do: str) -> Finding:
    """It works, with less."""
    return Finding("note", subject, says, do)


def fault(subject: str, says: str, do: str) -> Finding:
    """Something that will not work."""
    return Finding("fault", subject, says, do)
