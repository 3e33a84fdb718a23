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

#: Bytes or packets of each interface, by index: sent, received.
_Carried = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ForwardedWindow:
    """What was carried in a window.

    ``flows`` is ``None`` if the kernel counts no bytes of flows: ``is_accounting`` is false, or ``None`` if
    it does not track connections at all.
    """

    seconds: float
    carried: _Carried
    packets: _Carried
    counted: IpCounters | None
    rerouted: linux.ChangedRoutes
    flows: list[TrackedFlow] | None
    is_accounting: bool | None


def sample(seconds: float) -> ForwardedWindow:
    """A window of so many seconds from now on, in the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access, or there are too many flows.
        KernelFormatError: its answer has an unknown format.
    """
    with contextlib.closing(linux.RouteChanges()) as changes:
        is_accounting = linux.is_accounting()
        listing = linux.read_flows() if is_accounting else None
        start_s, (carried, packets), counted = _read_counters()
        time.sleep(seconds)
        # In the same order: listing many flows takes a while, before both readings of the counters.
        flows = linux.read_flows(listing.counters, is_last=True).flows if listing else None
        end_s, (carried_now, packets_now), counted_now = _read_counters()
        return ForwardedWindow(
            end_s - start_s,
            carried_since(carried, carried_now),
            carried_since(packets, packets_now),
            counted_since(counted, counted_now),
            changes.take(),
            flows,
            is_accounting,
        )


def _read_counters() -> tuple[float, tuple[_Carried, _Carried], IpCounters | None]:
    return time.monotonic(), linux.read_carried(), linux.read_ip_counters()
