"""Reads the counters of losses of sockets and interfaces, and compares them with those of an earlier check.

Guarantees: what a socket lost before the previous check never counts. In one check the interfaces and each
kind of socket are read once, however many findings need them.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from network_health.attribution.loss_culprits import new_since
from network_health.model import Snapshot, Socket, UdpSocket
from network_health.settings import Settings
from network_health.sources import linux

#: With more sockets of a kind than this they are not read in every check.
_FEW_SOCKETS = 1000
#: The length of the window that is sampled if there is no reading of the previous check.
_SAMPLE_S = 1.0


class _Drops(Protocol):
    @property
    def cookie(self) -> int: ...
    @property
    def drops(self) -> int: ...


S = TypeVar("S", bound=_Drops)


@dataclass(frozen=True, slots=True)
class Losses(Generic[S]):
    """The sockets, and by cookie what each of them dropped since the previous check, or in a sample."""

    sockets: Sequence[S]
    new: Counter[int]
    since_last_check: bool


class DropCounters(Generic[S]):
    """The drop counters of one kind of socket, from check to check."""

    def __init__(self, read: Callable[[], Sequence[S]]) -> None:
        self._read = read
        self._before: Mapping[int, int] | None = None
        self._losses: Losses[S] | None = None

    def losses(self) -> Losses[S]:
        """What was dropped since the previous check; without a reading of it, in a second from now on.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        if self._losses is None:
            before = self._before
            if before is None:
                before = _drops_of(self._read())
                time.sleep(_SAMPLE_S)
            sockets = self._read()
            new = new_since(before, _drops_of(sockets))
            self._losses = Losses(sockets, new, since_last_check=self._before is not None)
        return self._losses

    def end_check(self, *, is_cheap: bool) -> None:
        """Remember the counters for the next check, if reading them ``is_cheap``."""
        before, losses = None, self._losses
        if is_cheap:
            with contextlib.suppress(OSError, ValueError):  # then the next lookup takes a sample
                before = _drops_of(losses.sockets if losses else self._read())
        self._before, self._losses = before, None


class LossKinds:
    """The errors and drops of interfaces by index and kind, as they were when each was last reported."""

    def __init__(self, reported: Mapping[int, Mapping[str, int]]) -> None:
        self.reported = dict(reported)
        self._now: Mapping[int, Mapping[str, int]] | None = None

    def losses(self, index: int, *, are_all_new: bool) -> Counter[str]:
        """What an interface lost since it was last reported, or in its lifetime.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        if self._now is None:
            self._now = linux.read_loss_kinds()
        kinds = self._now.get(index, {})
        before = {} if are_all_new else self.reported.get(index, {})
        self.reported[index] = kinds
        return new_since(before, kinds)

    def end_check(self) -> None:
        """Forget interfaces that were removed: others come and go for years."""
        if self._now is not None:
            self.reported = {index: kinds for index, kinds in self.reported.items() if index in self._now}
        self._now = None


@dataclass(slots=True)
class LossReadings:
    """The counters of losses at the last report: of interfaces, of listeners, of UDP sockets."""

    kinds: LossKinds = field(default_factory=lambda: LossKinds({}))
    listeners: DropCounters[Socket] = field(
        default_factory=lambda: DropCounters(lambda: linux.read_listeners())
    )
    udp: DropCounters[UdpSocket] = field(
        default_factory=lambda: DropCounters(lambda: linux.read_lossy_udp_sockets())
    )

    @classmethod
    def read(cls) -> LossReadings:
        """The present counters, for the first check."""
        readings = cls()
        with contextlib.suppress(OSError, ValueError):  # then the first breach reports all losses
            readings.kinds = LossKinds(linux.read_loss_kinds())
        readings.listeners.end_check(is_cheap=True)
        readings.udp.end_check(is_cheap=True)
        return readings

    def end_check(self, snapshot: Snapshot, settings: Settings) -> None:
        """Read what the next check compares with, as far as a limit needs it and few sockets are read."""
        self.kinds.end_check()
        listens = settings.listen_overflow_threshold_per_sec, settings.listen_drop_threshold_per_sec
        is_limited = any(limit is not None for limit in (*listens, settings.syn_queue_threshold_per_sec))
        self.listeners.end_check(is_cheap=is_limited and _are_few(snapshot, "LISTEN"))
        is_limited = settings.udp_error_threshold_per_sec is not None
        self.udp.end_check(is_cheap=is_limited and _are_few(snapshot, "NONE"))


def _are_few(snapshot: Snapshot, state: str) -> bool:
    connections = snapshot.connections
    return connections is not None and connections.by_status.get(state, 0) <= _FEW_SOCKETS


def _drops_of(sockets: Sequence[S]) -> dict[int, int]:
    return {each.cookie: each.drops for each in sockets if each.drops}
