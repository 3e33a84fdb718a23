"""Checks each packet that the framework reads for the agent, before the framework acts on it.

The framework calls any method of the agent that a command names, and loads a module of that name if there is
none. If there are several config packets, it passes one of them on, with the identity of the last sender.

Guarantees: only a regular file of at most `MAX_BYTES` is read: the framework would wait for ever at a FIFO,
and a huge packet would take twenty times its size as memory. A command reaches only the handlers that the
agent names. A config packet is passed on only with the identity of its own sender, and only if this sender
may change the settings. In each folder, refused packets take about `BUDGET_S` of each `WINDOW_S` at most, and
are logged at a bounded rate.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from network_health.settings import shown
from network_health.swarm.live_config import Identity, refusal
from network_health.swarm.refusals import Refusals

#: Verifying a packet takes as long as signing it. So that a node that sends packets as fast as it can does
#: not keep the agent from its checks, packets are refused unread when the time is used up.
BUDGET_S, WINDOW_S = 0.5, 10.0
#: Many times the size of a config with every setting.
MAX_BYTES = 1 << 20
_UNKNOWN = "unknown senders"
_UNREADABLE = "the framework could not verify or read it"
_NO_PACKET = f"it is not a regular file of at most {MAX_BYTES >> 20} MiB"


class Packet(Protocol):
    """The part of the framework's packets that is used here."""

    def get_packet(self) -> Any:  # noqa: ANN401 - whatever a sender wrote
        """What the packet holds."""


class Reader(Protocol):
    """The part of the framework's ``ReceptionAgent`` that is used here."""

    set_drop_zone: Callable[[dict[str, str]], Reader]
    set_identifier: Callable[[str], Reader]
    set_logger: Callable[[Callable[..., None]], None]
    receive: Callable[[], Packet | None]
    get_identity: Callable[[], Identity | None]


@dataclass(frozen=True, slots=True)
class _DropZone:
    """``nothing`` is what the framework finds in a refused packet; ``reason`` says why one is refused."""

    folder: Path
    kind: str
    nothing: dict[str, Any] | None
    reason: Callable[[dict[str, Any], Identity | None], str | None]


@dataclass(frozen=True, slots=True)
class _RefusedPacket:
    content: dict[str, Any] | None

    def get_packet(self) -> dict[str, Any] | None:
        return self.content


class PacketGate:
    """The gate of one agent.

    Args:
        folder: the agent's own folder in the swarm.
        warn: takes one line for the log.
        encrypted: whether the swarm has identities.
        handlers: the methods that a command may name.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        folder: Path,
        warn: Callable[[str], None],
        *,
        encrypted: bool,
        handlers: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handlers = frozenset(handlers)
        self._encrypted = encrypted
        self._clock = clock
        self._refused_config_s = float("-inf")
        self._refusals = Refusals(warn, clock)
        #: The framework's names of the folders.
        self._zones = {
            "incoming": _DropZone(folder / "incoming", "Command", {}, self._reason_of_command),
            "config": _DropZone(folder / "config", "Live config", None, self._reason_of_config),
        }

    @property
    def is_flooded(self) -> bool:
        """Whether a config was refused in the last `WINDOW_S`: then the next one waits for a check."""
        return self._clock() - self._refused_config_s < WINDOW_S

    def guard(self, reader: Reader) -> Reader:
        """The framework's ``reader``, whose packets are checked from now on."""
        set_drop_zone = reader.set_drop_zone

        def set_guarded_zone(drop: dict[str, str]) -> Reader:
            zone = self._zones.get(drop["drop"])
            if zone is not None:
                _Guard(reader, zone, self._refuse, self._clock)
            return set_drop_zone(drop)

        reader.set_drop_zone = set_guarded_zone
        return reader

    def log_counts(self) -> None:
        """Log how many packets were refused; to be called every second or so."""
        self._refusals.log_counts()

    def _refuse(self, zone: _DropZone, sender: str, reason: str) -> None:
        if zone.nothing is None:
            self._refused_config_s = self._clock()
        self._refusals.add(zone.kind, sender, f"{reason}.")

    def _reason_of_command(self, content: dict[str, Any], identity: Identity | None) -> str | None:
        handler = content.get("handler")
        if not handler:
            return _UNREADABLE
        if isinstance(handler, str) and handler in self._handlers:
            return None
        return f"{_sender(identity)} sent the command {shown(handler)}, which this agent does not accept"

    def _reason_of_config(self, _: dict[str, Any], identity: Identity | None) -> str | None:
        return refusal(identity, encrypted=self._encrypted)


class _Guard:
    """Replaces three methods of a reader for one drop zone."""

    def __init__(
        self,
        reader: Reader,
        zone: _DropZone,
        refuse: Callable[[_DropZone, str, str], None],
        clock: Callable[[], float],
    ) -> None:
        self._zone = zone
        self._refuse = refuse
        self._clock = clock
        self._set_identifier = reader.set_identifier
        self._receive, self._get_identity = reader.receive, reader.get_identity
        self._name = ""
        self._identity: Identity | None = None
        self._window_s, self._spent_s = clock(), 0.0
        reader.set_identifier = self.set_identifier
        reader.receive, reader.get_identity = self.receive, self.get_identity
        reader.set_logger(_ignore)  # its lines about packets that it cannot read are not bounded

    def set_identifier(self, name: str) -> Reader:
        """Set the name of the file that is received next."""
        self._name = name
        return self._set_identifier(name)

    def receive(self) -> Packet:
        """The next packet if it is accepted; else one in which the framework finds nothing to do."""
        started_s = self._clock()
        if started_s - self._window_s >= WINDOW_S:
            self._window_s, self._spent_s = started_s, 0.0
        if self._spent_s >= BUDGET_S:
            self._refuse(self._zone, _UNKNOWN, "it was not read, because too many others were refused")
            return _RefusedPacket(self._zone.nothing)
        if not _is_packet(self._zone.folder / self._name):
            self._refuse(self._zone, _UNKNOWN, _NO_PACKET)
            return _RefusedPacket(self._zone.nothing)
        packet, identity = self._receive(), self._get_identity()
        content = None if packet is None else packet.get_packet()
        sender, reason = _UNKNOWN, _UNREADABLE
        if packet is not None and isinstance(content, dict) and content:
            refused = self._zone.reason(content, identity)
            if refused is None:
                self._identity = identity
                return packet
            sender, reason = _sender(identity), refused
        self._spent_s += self._clock() - started_s
        self._refuse(self._zone, sender, reason)
        return _RefusedPacket(self._zone.nothing)

    def get_identity(self) -> Identity | None:
        """The sender of the last packet that was accepted."""
        return self._identity


def _is_packet(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except OSError:  # removed by now
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES


def _sender(identity: Identity | None) -> str:
    if identity is None or not identity.has_verified_identity():
        return "an unknown sender"
    return shown(identity.get_sender_uid())


def _ignore(*_: object, **__: object) -> None:
    """Logs nothing."""
