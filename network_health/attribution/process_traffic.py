"""Two listings of sockets -> the bytes that each of them, and each process, moved. Pure.

Laws: a socket is known by its cookie, so that one that is closed meanwhile counts to its last byte, and
one that opened meanwhile from its first. A counter that went back (a reset connection) moved nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from network_health.model import BYTE_COUNTER, Interface, ProcessTraffic, Socket, SocketTraffic, Traffic


def remember(
    before: Mapping[int, bytes], now: Mapping[int, bytes], closed: Iterable[Socket]
) -> dict[int, bytes]:
    """The marks of the sockets that have gone since ``before`` but were not told of yet, as ``closed``."""
    ended = {each.cookie for each in closed}
    return {cookie: before[cookie] for cookie in before if cookie not in now and cookie not in ended}


def moved(
    before: Mapping[int, bytes], gone: Mapping[int, bytes], now: Iterable[Socket]
) -> tuple[SocketTraffic, ...]:
    """The sockets that moved something since their mark in ``before`` or ``gone``; of one the last counts."""
    found = []
    for cookie, each in {each.cookie: each for each in now}.items():
        mark = before.get(cookie) or gone.get(cookie)
        sent, received, inode = BYTE_COUNTER.unpack(mark) if mark else (0, 0, 0)
        sent, received = max(each.sent - sent, 0), max(each.received - received, 0)
        if sent or received:
            found.append(SocketTraffic(each if each.inode else each._replace(inode=inode), sent, received))
    return tuple(found)


def of_processes(
    moves: Sequence[SocketTraffic],
    pids: Sequence[int | None],
    seconds: float,
    carried: tuple[int, int],
    is_whole: bool,
) -> Traffic:
    """The bytes of each process; ``carried`` are those that all interfaces sent and received."""
    sent: Counter[int | None] = Counter()
    received: Counter[int | None] = Counter()
    sockets: Counter[int | None] = Counter()
    for move, pid in zip(moves, pids, strict=True):
        sent[pid] += move.sent
        received[pid] += move.received
        sockets[pid] += 1
    ranked = sorted((pid for pid in sockets if pid is not None), key=lambda p: (-sent[p] - received[p], p))
    return Traffic(
        seconds=seconds,
        processes=tuple(ProcessTraffic(pid, sent[pid], received[pid], sockets[pid]) for pid in ranked),
        sent=max(carried[0], sent.total()),
        received=max(carried[1], received.total()),
        unattributed_sockets=sockets[None],
        is_whole=is_whole,
    )


def carried_by(interfaces: Iterable[Interface], seconds: float) -> tuple[int, int]:
    """Bytes that the interfaces with an address sent and received; one without is part of another."""
    mbps = [(i.tx_mbps or 0, i.rx_mbps or 0) for i in interfaces if i.link.ipv4 or i.link.ipv6]
    octets = 1e6 / 8 * seconds
    return round(sum(tx for tx, _ in mbps) * octets), round(sum(rx for _, rx in mbps) * octets)
