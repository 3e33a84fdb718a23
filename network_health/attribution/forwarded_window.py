"""Samples what this host forwards: tracked flows, and the counters of IP and of the interfaces.

Guarantees: nothing stays open after a sample.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from network_health.attribution.process_traffic import carried_since
from network_health.collectors import counted_since
from network_health.model import IpCounters, TrackedFlow
from network_health.sources import linux

#: A sample is repeated if the windows of flows and of counters differ by more than this part, as on a busy
#: host, unless the next one would end later than so long after the start of the first.
_MAX_SKEW, _REPEATED_S = 0.05, 4.0

#: Bytes or packets of each interface, by index: sent, received.
_Carried = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ForwardedWindow:
    """What was carried in a window.

    ``flows`` is ``None`` if the bytes of flows are not known: ``is_accounting`` is false, or ``None`` if the
    kernel does not track connections at all, or ``failure`` is the reason.
    """

    seconds: float
    carried: _Carried
    packets: _Carried
    counted: IpCounters | None
    rerouted: linux.ChangedRoutes
    flows: list[TrackedFlow] | None
    is_accounting: bool | None
    failure: str = ""


def sample(seconds: float) -> ForwardedWindow:
    """A window of so many seconds, in the calling thread's network namespace; it begins within a few.

    Raises:
        OSError: the kernel denies access to other values than the flows.
        KernelFormatError: its answer has an unknown format.
    """
    first_s = start_s = time.monotonic()
    while True:
        window, skew_s = _sample(seconds)
        end_s = time.monotonic()
        if skew_s <= _MAX_SKEW * seconds or 2 * end_s - start_s > first_s + _REPEATED_S:
            return window
        start_s = end_s


def _sample(seconds: float) -> tuple[ForwardedWindow, float]:
    """A window, and how much longer or shorter that of the flows is than that of the counters."""
    with contextlib.closing(linux.RouteChanges()) as changes:
        flows_start_s = time.monotonic()
        flows = _Flows()
        start_s, (carried, packets), counted = _read_counters()
        time.sleep(seconds)
        # In the same order: listing many flows takes a while, before both readings of the counters.
        flows_end_s = time.monotonic()
        moved = flows.since()
        end_s, (carried_now, packets_now), counted_now = _read_counters()
        window = ForwardedWindow(
            end_s - start_s,
            carried_since(carried, carried_now),
            carried_since(packets, packets_now),
            counted_since(counted, counted_now),
            changes.take(),
            moved,
            flows.is_accounting,
            flows.failure,
        )
        return window, abs((end_s - start_s) - (flows_end_s - flows_start_s))


class _Flows:
    """The flows from now on; ``failure`` is the reason why they are not known."""

    def __init__(self) -> None:
        self.is_accounting, self.failure = linux.is_accounting(), ""
        self._first: linux.FlowListing | None = None
        if self.is_accounting:
            self._first = self._listing()

    def since(self) -> list[TrackedFlow] | None:
        """Those that carried bytes; ``None`` if that is not known."""
        last = self._listing(self._first.counters) if self._first else None
        return last.flows if last else None

    def _listing(self, before: Mapping[int, bytes] | None = None) -> linux.FlowListing | None:
        try:
            return linux.read_flows(before, is_last=before is not None)
        except (OSError, ValueError) as error:
            self.failure = f"{type(error).__name__}: {error}"
            return None


def _read_counters() -> tuple[float, tuple[_Carried, _Carried], IpCounters | None]:
    return time.monotonic(), linux.read_carried(), linux.read_ip_counters()
