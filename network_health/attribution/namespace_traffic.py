"""Samples the traffic of this network namespace and of others, all in the same second.

Guarantees: when the call returns, nothing of another namespace is open. The reading of this namespace begins
before those of the others and ends after them, so that its interfaces carried all bytes of the others.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from network_health.attribution.call_crossings import CallCrossings
from network_health.attribution.call_window import CountedWindows
from network_health.attribution.interface_paths import Crossing, Crossings
from network_health.attribution.interface_traffic import LOOPBACK, RoutedTraffic, read_routed
from network_health.attribution.owner_lookups import NamespaceSockets, read_connected
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.attribution.protocol_split import NotTcp, ProtocolSplit
from network_health.attribution.traffic_window import TrafficWindows, Window
from network_health.model import Link, Namespace
from network_health.sources import linux

#: How long one reading waits for another one.
_WAIT_S = 5.0
#: Of one namespace. A container must not take the time that the lookups of all others need.
_MAX_FLOWS = 1000


class LeavingFlow(NamedTuple):
    """Traffic that leaves a namespace by its interface ``link``, all by the same route.

    ``hardware_address`` is that of ``next_hop``, empty if it is not known. ``lower`` is the index of the
    interface of the sampling namespace that carries the packets, if ``link`` is a macvlan or an ipvlan on it.
    Without ``returns`` the answers may arrive by another interface. ``destination`` is the address that the
    packets reach, which a rule of the host can have changed, ``None`` if it is not known. It is found later,
    and so are the owners. If it ``is_tunneled``, the packets that leave have other addresses.
    """

    link: Link
    next_hop: bytes
    hardware_address: bytes
    lower: int | None
    returns: bool
    traffic: Sequence[OwnedTraffic]
    is_tunneled: bool
    destination: bytes | None = None


@dataclass(frozen=True, slots=True)
class NamespaceTraffic:
    """What the sockets of another namespace carried in ``window``; ``routed`` is its TCP traffic there.

    ``flows`` are the traffic that leaves it, also that of its processes' calls. ``calls`` is ``None`` if
    these were not counted.
    """

    namespace: Namespace
    window: Window
    sockets: NamespaceSockets
    routed: RoutedTraffic
    flows: Sequence[LeavingFlow]
    calls: CallCrossings | None = None

    def calls_without_way(self, index: int, direction: int) -> list[Crossing]:
        """The traffic of sockets without a peer that must have crossed an interface of the namespace."""
        if self.calls is None:
            return []
        return self.calls.without_way(index, direction, lambda each: self._tcp(direction).of(each)[0])[0]

    def _tcp(self, direction: int) -> Crossings:
        return Crossings(direction, self.routed.by_way, self.routed.paths, self.window.carried)

    def not_tcp(self, index: int, direction: int) -> NotTcp | None:
        """What is not TCP of the bytes of an interface of the namespace; ``None`` if that is not known."""
        window, paths, tcp = self.window, self.routed.paths, self._tcp(direction)
        if window.counted is None:
            return None
        split = ProtocolSplit(direction, window, window.counted, paths, lambda each: tcp.of(each)[0])
        return split.of(index)


class _Steps:
    """What the reading of another namespace has done; both are set when it has failed."""

    def __init__(self) -> None:
        self.entered, self.read = threading.Event(), threading.Event()

    def end(self, _: Future[NamespaceTraffic]) -> None:
        self.entered.set()
        self.read.set()


class Sampled(NamedTuple):
    """The window of this namespace, the traffic of the others, and why some of these are missing."""

    window: Window
    others: list[NamespaceTraffic]
    failures: list[str]


def sample_together(
    namespaces: Sequence[Namespace], seconds: float, deadline_s: float, *, with_calls: bool
) -> Sampled:
    """Sample this namespace and ``namespaces``; ``with_calls`` as in `sampling.sample`.

    Those whose sockets are not read when the clock reaches ``deadline_s`` are failures.

    Raises:
        OSError: the kernel denies access to this namespace, or starts no thread.
        KernelFormatError: its answer has an unknown format.
    """
    here = linux.own_path()
    steps = [_Steps() for _ in namespaces]
    until_s: Future[float] = Future()
    calls: Future[linux.Calls | None] = Future()
    works = [
        (each.pid, each.inode, partial(_sample, each, step, until_s, calls, here, deadline_s))
        for each, step in zip(namespaces, steps, strict=True)
    ]
    with (
        contextlib.closing(CountedWindows() if with_calls else TrafficWindows()) as windows,
        linux.calls_in_namespaces(works) as results,
    ):
        counted = None
        try:
            for result, step in zip(results, steps, strict=True):
                result.add_done_callback(step.end)
            for step in steps:
                step.entered.wait(_WAIT_S)
            windows.read()
            until_s.set_result(time.monotonic() + seconds)
            for step in steps:  # at once if no namespace can be entered
                step.read.wait(seconds + _WAIT_S)
            window = windows.read(is_last=True)
            counted = window.calls
        finally:  # the others wait for these
            if not until_s.done():
                until_s.set_result(0.0)
            calls.set_result(counted)
    others, failures = [], []
    for result in results:
        try:
            others.append(result.result())
        except (OSError, ValueError, NotInTimeError) as error:
            failures.append(f"{type(error).__name__}: {error}")
    return Sampled(window, others, failures)


def _sample(
    namespace: Namespace,
    step: _Steps,
    until_s: Future[float],
    calls: Future[linux.Calls | None],
    here: str,
    deadline_s: float,
) -> NamespaceTraffic:
    """Runs in the namespace, in a thread of its own."""
    with contextlib.closing(TrafficWindows(deadline_s)) as windows:
        step.entered.set()
        end_s = until_s.result(2 * _WAIT_S)
        windows.read()
        time.sleep(max(end_s - time.monotonic(), 0))
        window = windows.read(is_last=True)
    step.read.set()
    counted = calls.result(_WAIT_S)
    if counted:
        window = replace(window, calls=counted._replace(namespace=namespace.inode))
    sockets = read_connected([each.socket for each in window.traffic], window.listeners)
    routed = read_routed([(each, None) for each in window.traffic], window.rerouted, _MAX_FLOWS)
    looped = window.counted.multicast_octets if window.counted else None
    of_calls = CallCrossings(window.calls, window.carried, window.rerouted, looped) if window.calls else None
    flows = [*_leaving(routed, here), *(_leaving(of_calls.routed, here) if of_calls else ())]
    return NamespaceTraffic(namespace, window, sockets, routed, flows, of_calls)


def _leaving(routed: RoutedTraffic, here: str) -> Iterator[LeavingFlow]:
    links = routed.paths.links
    number = None
    if any(link.lower_elsewhere for link in links.values()):
        number = linux.read_namespace_ids({0: here}).get(0)
    addresses = linux.read_hardware_addresses({each.route for each in routed.flows})
    tunnels = routed.paths.carried_again()
    for way, route, traffic in routed.flows:
        end = routed.paths.end_of(way)
        if end is None or end == LOOPBACK or end not in links:
            continue
        elsewhere = links[end].lower_elsewhere
        lower = elsewhere[1] if elsewhere and elsewhere[0] == number else None
        is_tunneled = bool(routed.paths.crossed(way) & tunnels)
        hardware_address = b"" if is_tunneled else addresses.get(route, b"")
        yield LeavingFlow(
            links[end], route.next_hop, hardware_address, lower, way.returns, traffic, is_tunneled
        )
