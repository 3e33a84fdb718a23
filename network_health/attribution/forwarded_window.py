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


@dataclass(frozen=True, slots=True)
class ForwardedWindow:
    """What was carried in a window; interfaces are by index, pairs are sent, received.

    ``flows`` is ``None`` if the kernel counts no bytes of flows: ``is_accounting`` is false, or ``None`` if
    it does not track connections at all.
    """

    seconds: float
    carried: Mapping[int, tuple[int, int]]
    packets: Mapping[int, tuple[int, int]]
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
        start_s = time.monotonic()
        carried, packets = linux.read_carried()
        counted = linux.read_ip_counters()
        time.sleep(seconds)
        passed_s = time.monotonic() - start_s
        carried_now, packets_now = linux.read_carried()
        counted_now = linux.read_ip_counters()
        flows = linux.read_flows(listing.counters, is_last=True).flows if listing else None
        return ForwardedWindow(
            passed_s,
            carried_since(carried, carried_now),
            carried_since(packets, packets_now),
            counted_since(counted, counted_now),
            changes.take(),
            flows,
            is_accounting,
        )
