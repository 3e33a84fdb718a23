"""Computes what each socket and each process sent from two lists of sockets. Pure.

Guarantees: sockets are compared by cookie, so a socket that was opened or closed meanwhile counts with all
its bytes. A counter that went back (a reset connection) counts as 0 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from network_health.attribution.ownership import merged
from network_health.model import (
    ANOTHER_PROCESS,
    BYTE_COUNTER,
    RESENT_COUNTER,
    Holders,
    ProcessTraffic,
    Socket,
    SocketResent,
    SocketTraffic,
    Traffic,
    TrafficPart,
)

#: The traffic of a socket, and the processes that have it open; none if they have ended.
OwnedTraffic = tuple[SocketTraffic, Holders | None]


def vanished_counters(
    before: Mapping[int, bytes], now: Mapping[int, bytes], closed: Iterable[Socket]
) -> dict[int, bytes]:
    """The counters ``before`` of sockets that are neither listed ``now`` nor ``closed`` yet.

    The kernel reports a closed socket a moment after it has left the listing.
    """
    reported = {each.cookie for each in closed}
    return {cookie: before[cookie] for cookie in before if cookie not in now and cookie not in reported}


def socket_traffic(
    before: Mapping[int, bytes], vanished: Mapping[int, bytes], now: Iterable[Socket]
) -> tuple[SocketTraffic, ...]:
    """The sockets whose counters grew since ``before`` or ``vanished``; the last entry of a socket counts."""
    found = []
    for cookie, each in {each.cookie: each for each in now}.items():
        counter = before.get(cookie) or vanished.get(cookie)
        sent, received, inode = BYTE_COUNTER.unpack(counter) if counter else (0, 0, 0)
        sent, received = max(each.sent - sent, 0), max(each.received - received, 0)
        if sent or received:
            found.append(SocketTraffic(each if each.inode else each._replace(inode=inode), sent, received))
    return tuple(found)


def socket_resent(
    before: Mapping[int, bytes], vanished: Mapping[int, bytes], now: Iterable[Socket]
) -> tuple[SocketResent, ...]:
    """The sockets that sent segments again since ``before`` or ``vanished``; as `socket_traffic`."""
    found = []
    for cookie, each in {each.cookie: each for each in now if each.resent}.items():
        counter = before.get(cookie) or vanished.get(cookie)
        segments, octets, inode = RESENT_COUNTER.unpack(counter) if counter else (0, 0, 0)
        segments, octets = each.resent - segments, max(each.resent_bytes - octets, 0)
        if segments > 0:
            found.append(SocketResent(each._replace(inode=each.inode or inode), segments, octets))
    return tuple(found)


def by_process(
    traffic: Iterable[OwnedTraffic], seconds: float, carried: tuple[int, int], is_whole: bool
) -> Traffic:
    """The bytes of each process; ``carried`` are the bytes that all interfaces sent and received."""
    sent: Counter[int | None] = Counter()
    received: Counter[int | None] = Counter()
    sockets: Counter[int | None] = Counter()
    protocols: dict[int | None, Counter[str]] = {}
    octets: Counter[Holders] = Counter()
    for each, holders in traffic:
        is_known = holders and ANOTHER_PROCESS not in holders
        pid = holders[0] if holders and is_known else None
        sent[pid] += each.sent
        received[pid] += each.received
        sockets[pid] += 1
        protocols.setdefault(pid, Counter())[each.protocol] += each.sent + each.received
        octets[holders if holders and is_known else ()] += each.sent + each.received
    shared = {holders[0]: holders[1:] for holders in merged(octets)}
    ranked = sorted((pid for pid in sockets if pid is not None), key=lambda p: (-sent[p] - received[p], p))
    return Traffic(
        seconds=seconds,
        processes=tuple(
            ProcessTraffic(
                pid, sent[pid], received[pid], sockets[pid], shared[pid], protocols[pid].most_common(1)[0][0]
            )
            for pid in ranked
        ),
        sent=max(carried[0], sent.total()),
        received=max(carried[1], received.total()),
        unattributed_sockets=sockets[None],
        is_whole=is_whole,
    )


def with_parts(
    traffic: Traffic,
    owned: Iterable[OwnedTraffic],
    resent: Iterable[SocketResent],
    not_tcp: tuple[int, int],
    others: Iterable[TrafficPart] = (),
) -> Traffic:
    """The traffic, with the bytes of all TCP sockets, and what the bytes without a known process are.

    The parts together have no more bytes than those without a known process; ``others`` are the last ones.
    """
    every, unknown, known = Counter[str](), Counter[str](), Counter[str]()
    for each, holders in owned:
        octets = Counter({"sent": each.sent, "received": each.received})
        is_unknown = not holders or ANOTHER_PROCESS in holders
        if each.protocol != "tcp":
            known += Counter() if is_unknown else octets
            continue
        every += octets
        unknown += octets if is_unknown else Counter()
    sent, received = not_tcp
    parts = (
        TrafficPart("tcp", unknown["sent"], unknown["received"]),
        TrafficPart("resent", sum(each.octets for each in resent), 0),
        TrafficPart("not_tcp", max(sent - known["sent"], 0), max(received - known["received"], 0)),
        *others,
    )
    tcp = every["sent"], every["received"]
    return replace(traffic, tcp=tcp, unattributed_parts=tuple(_bounded(traffic, parts)))


def _bounded(traffic: Traffic, parts: Iterable[TrafficPart]) -> Iterator[TrafficPart]:
    """The parts that are not empty, the first ones first, as far as the bytes without a process suffice."""
    sent = max(traffic.sent - sum(each.sent for each in traffic.processes), 0)
    received = max(traffic.received - sum(each.received for each in traffic.processes), 0)
    for part in parts:
        fits = TrafficPart(part.kind, min(part.sent, sent), min(part.received, received))
        sent, received = sent - fits.sent, received - fits.received
        if fits.sent or fits.received:
            yield fits


def carried_since(
    before: Mapping[int, tuple[int, int]], now: Mapping[int, tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """The bytes that each interface sent and received; not of a new one, nor of a counter that went back."""
    both = {index: (before[index], now[index]) for index in before.keys() & now.keys()}
    grown = {index: (sent - old[0], received - old[1]) for index, (old, (sent, received)) in both.items()}
    return {index: octets for index, octets in grown.items() if min(octets) >= 0}
