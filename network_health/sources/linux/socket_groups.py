"""All sockets in bundles, and who holds them: from ``NETLINK_SOCK_DIAG`` and ``/proc/<pid>/fd``.

See sock_diag(7) and proc(5). Laws: of a single socket nothing is kept but its inode, and that not for
longer than the search takes. Which ports somebody waits at is asked first, because a connection is
bundled by its local port if it was accepted there, else by its remote one. A listing is of the calling
thread's network namespace.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from network_health.model import SocketGroup
from network_health.sources.linux import inet_diag, netlink
from network_health.sources.linux.inode_index import InodeIndex
from network_health.sources.linux.owners import Search

T = TypeVar("T")

_LOCAL_PORT = struct.Struct("=4xH")
#: Of an inet_diag_msg: family, state, local port, remote port, both addresses, inode
_MESSAGE = struct.Struct("=BBxxHH32s28xI")
_OWNER = struct.Struct("=64xII")  # uid, inode
_CGROUP_ID = struct.Struct("=Q")
_LISTEN, _UNCONNECTED = 1 << 10, 1 << 7  # the states of TCP and of UDP

#: What asks for the sockets in some states, and the states that wait for anybody.
_SOURCES: tuple[tuple[str, Callable[[int], bytes], int], ...] = (
    ("tcp", inet_diag.tcp_request, _LISTEN),
    ("udp", partial(inet_diag.udp_request, socket.AF_INET), _UNCONNECTED),
    ("udp", partial(inet_diag.udp_request, socket.AF_INET6), _UNCONNECTED),
)

#: SocketUser id, and id of the cgroup or 0.
SocketUser = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SocketListing:
    """All sockets. ``is_late``: not every process was looked at; ``is_refused``: not all could be.

    ``users`` has, where processes could not be looked at, whose the sockets are that nobody was found for.
    """

    bundles: tuple[SocketGroup, ...]
    is_refused: bool = False
    is_late: bool = False
    users: Counter[SocketUser] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally:
    """What one dump has come to.

    ``ports`` are those that somebody waits at. They, and what the bundles are known by (family, state,
    local port, remote port, addresses), are as the kernel gives them. Bundles are numbered from 1;
    ``counts`` are their sockets, ``held`` those with an inode, ``holders`` those of a pid.
    """

    ports: Container[int] = ()
    bundles: dict[tuple[int, int, int, int, bytes], int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=lambda: [0])
    held: list[int] = field(default_factory=lambda: [0])
    inodes: InodeIndex = field(default_factory=InodeIndex)
    holders: dict[int, dict[int, int]] = field(default_factory=dict)


def read_socket_groups(until_s: float) -> SocketListing:
    """All TCP and UDP sockets; the search for their holders ends when the monotonic clock says ``until_s``.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read_socket_groups.
    """
    tallies = []
    for _, request, waiting in _SOURCES:
        ports = _ask(request(waiting), set[int], add_ports)
        tallies.append(_ask(request(inet_diag.ALL), partial(Tally, ports), count))
    search = Search(until_s)
    _find_holders(tallies, search)
    users: Counter[SocketUser] = Counter()
    for (_, request, _), tally in zip(_SOURCES, tallies, strict=True):
        if search.is_refused and tally.inodes.left:
            users += _ask(request(inet_diag.ALL), Counter[SocketUser], partial(add_users, tally.inodes))
    names = (name for name, _, _ in _SOURCES)
    found = (bundle for name, tally in zip(names, tallies, strict=True) for bundle in finished(name, tally))
    return SocketListing(tuple(found), search.is_refused, search.is_late, users)


def add_ports(datagram: bytes, ports: set[int]) -> bool:
    """Add the local port of each socket of one datagram to ``ports``; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    return inet_diag.walk(datagram, lambda start, _: ports.update(_LOCAL_PORT.unpack_from(datagram, start)))


def count(datagram: bytes, tally: Tally) -> bool:
    """Add the sockets of one datagram to ``tally``; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    unpack, ports, bundles, add = _MESSAGE.unpack_from, tally.ports, tally.bundles, tally.inodes.add
    counts, held = tally.counts, tally.held
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        inet_diag.check(kind, start, end)
        family, state, port, remote_port, addresses, inode = unpack(datagram, start)
        if port in ports or not remote_port:
            remote_port = 0
        else:
            port = 0
        key = (family, state, port, remote_port, addresses)
        bundle = bundles.get(key)
        if bundle is None:
            bundle = bundles[key] = len(counts)
            counts.append(0)
            held.append(0)
        counts[bundle] += 1
        if inode:
            held[bundle] += 1
            add(inode, bundle)
    return False


def add_users(hidden: InodeIndex, datagram: bytes, users: Counter[SocketUser]) -> bool:
    """Count the sockets of one datagram that are ``hidden``, by user; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    layouts = inet_diag.Layouts(inet_diag.CGROUP)

    def add(start: int, end: int) -> None:
        uid, inode = _OWNER.unpack_from(datagram, start)
        if hidden.has(inode):
            at = layouts.of(datagram, start, end).get(inet_diag.CGROUP)
            (cgroup,) = (0,) if at is None else _CGROUP_ID.unpack_from(datagram, start + at)
            users[uid, cgroup] += 1

    return inet_diag.walk(datagram, add)


def finished(protocol: str, tally: Tally) -> Iterator[SocketGroup]:
    """The bundles of a tally, with the holders that were found so far; takes them out of it.

    Raises:
        KernelFormatError: the family or the state of one is not known.
    """
    while tally.bundles:
        (family, state, port, remote_port, addresses), number = tally.bundles.popitem()
        local, remote = inet_diag.addresses(family, addresses[:16], addresses[16:])
        yield SocketGroup(
            protocol,
            inet_diag.state_of(state, protocol),
            local,
            socket.ntohs(port),
            remote,
            socket.ntohs(remote_port),
            tally.counts[number],
            tally.counts[number] - tally.held[number],
            tally.holders.get(number, {}),
        )


def _ask(request: bytes, start: Callable[[], T], take: Callable[[bytes, T], bool]) -> T:
    return netlink.dump(inet_diag.PROTOCOL, request, start, take)


def _find_holders(tallies: Sequence[Tally], search: Search) -> None:
    """Count each socket for the first process that holds it."""
    for tally in tallies:
        tally.inodes.sort()
    for pid, held in search:
        for tally in (each for each in tallies if each.inodes.left):
            taken = Counter(filter(None, map(tally.inodes.take, held)))
            for bundle, number in taken.items():
                tally.holders.setdefault(bundle, {})[pid] = number
        if not any(tally.inodes.left for tally in tallies):
            break
