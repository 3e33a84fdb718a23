"""Reads a pushed config, and decides whether its sender may change the settings. Pure.

Guarantees: with encryption on, only the matrix node changes the settings. With encryption off there is no
identity: everything that can write into the swarm's folders is trusted, as everywhere in the swarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Protocol

from network_health.settings import Settings, shown

#: The one node that may change this agent's settings.
COMMANDER = "matrix"


class Identity(Protocol):
    """The part of the framework's ``IdentityObject`` that is used here."""

    def has_verified_identity(self) -> bool:
        """Whether the packet's signature was checked and is good."""

    def get_sender_uid(self) -> str | None:
        """The universal_id of a verified sender."""


def refusal(identity: Identity | None, *, encrypted: bool) -> str | None:
    """Why a push from ``identity`` is refused; ``None`` when it is accepted."""
    if not encrypted:
        return None
    if identity is None or not identity.has_verified_identity():
        return "its sender could not be verified"
    sender = identity.get_sender_uid()
    if sender == COMMANDER:
        return None
    return f"{shown(sender)} may not command this agent, only {COMMANDER!r} may"


def origin(*, encrypted: bool) -> str:
    """Who is known to have asked for a change, for the log."""
    if encrypted:
        return f"{COMMANDER!r}, which does not say which node asked for it"
    return "an unknown sender, because encryption is off"


def unwrap(pushed: Mapping[str, object]) -> Mapping[str, object]:
    """The settings in a push: ``cmd_update_agent`` sends them bare, others as a packet's content."""
    for key in ("content", "config"):
        inner = pushed.get(key)
        if isinstance(inner, Mapping):
            pushed = inner
    return pushed


def difference(before: Settings, after: Settings) -> str:
    """What a push changed, for the log: ``conn_threshold 1000 -> 2000``."""
    changes = [
        f"{f.name} {shown(getattr(before, f.name))} -> {shown(getattr(after, f.name))}"
        for f in fields(Settings)
        if getattr(before, f.name) != getattr(after, f.name)
    ]
    return ", ".join(changes) or "nothing changed"
