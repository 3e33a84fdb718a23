"""Two listings of sockets -> the bytes that each of them, and each process, moved. Pure.

Laws: a socket is known by its cookie, so that one that is closed meanwhile counts to its last byte, and
one that opened meanwhile from its first. A counter that went back (a reset connection) moved nothing.
What has no owner of its own is its listener's, or that of the only process that talks to its remote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from network_health.evidence import Moved, ProcessTraffic, Socket, Traffic
from network_health.model import Interface

__all__ = ["Listeners", "carried_by", "coverage_percent", "holders", "moved", "of_processes", "remember"]

_ANY = (bytes(4), bytes(16))


class Listeners:
    """The sockets that listen, to be asked which of them accepted a connection."""

    def __init__(self, sockets: Iterable[Socket]) -> None:
        self._inodes = {(s.local, s.local_port): s.inode for s in sockets if s.state == "LISTEN"}
        self.ports = {port for _, port in self._inodes}

    def inode_of(self, connection: Socket) -> int:
        """The inode of the listener on a connection's local address and port; 0 without one."""
        if connection.local_port not in self.ports:
            return 0
        addresses = (connection.local, *_ANY)
        found = (self._inodes.get((address, connection.local_port)) for address in addresses)
        return next((inode for inode in found if inode), 0)


def remember(
    before: Mapping[int, Socket], now: Iterable[Socket], closed: Iterable[Socket]
) -> tuple[dict[int, Socket], dict[int, Socket]]:
    """The sockets by cookie that are open ``now``, and those that have gone but were not told of yet.

    A socket that its process has closed keeps the inode that ``before`` has.
    """
    table = {}
    for each in now:
        if not each.inode and each.cookie in before:
            each = each._replace(inode=before[each.cookie].inode)
        table[each.cookie] = each
    ended = {each.cookie for each in closed}
    gone = {cookie: s for cookie, s in before.items() if cookie not in table and cookie not in ended}
    return {cookie: s for cookie, s in table.items() if cookie not in ended}, gone


def moved(before: Mapping[int, Socket], now: Iterable[Socket]) -> tuple[Moved, ...]:
    """The sockets that moved something since ``before``; of one cookie the last of ``now`` counts."""
    found = []
    for cookie, each in {each.cookie: each for each in now}.items():
        then = before.get(cookie)
        sent, received = each.sent, each.received
        if then is not None:
            sent, received = max(sent - then.sent, 0), max(received - then.received, 0)
            if not each.inode:
                each = each._replace(inode=then.inode, uid=then.uid, cgroup=then.cgroup)
        if sent or received:
            found.append(Moved(each, sent, received))
    return tuple(found)


def holders(
    sockets: Sequence[Socket], listeners: Listeners, pids: Mapping[int, int], known: Iterable[Socket] = ()
) -> list[int | None]:
    """The pid of each of ``sockets``, ``None`` where it is unknown; ``known`` helps with remotes."""
    talkers: dict[tuple[bytes, int], set[int]] = {}
    for each in (*known, *sockets):
        pid = pids.get(each.inode)
        if pid is not None and each.local_port not in listeners.ports:
            talkers.setdefault((each.remote, each.remote_port), set()).add(pid)
    found = []
    for each in sockets:
        pid = pids.get(each.inode)
        if pid is None and (not each.inode or each.state == "CLOSE"):
            pid = pids.get(listeners.inode_of(each))
            talking = talkers.get((each.remote, each.remote_port), ())
            if pid is None and len(talking) == 1:
                (pid,) = talking
        found.append(pid)
    return found


def of_processes(
    moves: Sequence[Moved],
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


def coverage_percent(traffic: Traffic) -> float:
    """The share of all bytes that is known to be some process's, one decimal; 100 where nothing moved."""
    known = sum(p.sent + p.received for p in traffic.processes)
    return round(known / ((traffic.sent + traffic.received) or 1) * 100, 1) if known else 0.0
