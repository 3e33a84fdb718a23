"""Counts all sockets in groups and finds their owners, from ``NETLINK_SOCK_DIAG`` and ``/proc/<pid>/fd``.

See sock_diag(7) and proc(5). Guarantees: a listing has the sockets of the calling thread's network namespace.
No Python object is created per socket.

Each parser adds the sockets of one datagram of a dump to its last argument and returns True if the dump ends
there. It raises OSError if the kernel reports an error, and `KernelFormatError` for an unknown format.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from network_health.model import SocketGroup
from network_health.sources.linux import inet_diag, netlink
from network_health.sources.linux.inode_index import InodeIndex
from network_health.sources.linux.namespace_entry import call_in_namespace, calls_in_namespaces
from network_health.sources.linux.owners import OwnerSearch

_LOCAL_PORT = struct.Struct("=4xH")
#: Of inet_diag_msg: family, state, local port, remote port, both addresses, inode.
_MESSAGE = struct.Struct("=BBxxHH32s28xI")
_UID_INODE = struct.Struct("=64xII")
_CGROUP_ID = struct.Struct("=Q")
_LISTEN, _UNCONNECTED = 1 << 10, 1 << 7  # the listening states of TCP and of UDP

#: Protocol, request for the sockets in some states, and listening states.
_SOURCES: tuple[tuple[str, Callable[[int], bytes], int], ...] = (
    ("tcp", inet_diag.tcp_request, _LISTEN),
    ("udp", partial(inet_diag.udp_request, socket.AF_INET), _UNCONNECTED),
    ("udp", partial(inet_diag.udp_request, socket.AF_INET6), _UNCONNECTED),
)

#: User id, and cgroup id or 0.
SocketUser = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SocketListing:
    """All sockets; owners are missing if the search was denied access to a process, or timed out.

    ``users`` counts the sockets without a known owner by user, as far as they are still open after the
    search. It is empty if they are less than a tenth, or if the search timed out.
    """

    groups: tuple[SocketGroup, ...]
    access_denied: bool = False
    timed_out: bool = False
    users: Counter[SocketUser] = field(default_factory=Counter)


@dataclass(slots=True)
class GroupCounts:
    """The groups of one dump. Ports are in network byte order.

    ``numbers`` maps family, state, local port, remote port and addresses to the number of a group, from 1.
    By this number, ``counts`` has the sockets, and ``with_inode`` those with an inode.
    """

    protocol: str
    listening_ports: Container[int] = ()
    numbers: dict[tuple[int, int, int, int, bytes], int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=lambda: [0])
    with_inode: list[int] = field(default_factory=lambda: [0])
    inodes: InodeIndex = field(default_factory=InodeIndex)


def read_socket_groups(deadline_s: float) -> SocketListing:
    """All TCP and UDP sockets; the search for owners ends when the monotonic clock reaches ``deadline_s``.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    dumps, search = _dump(), OwnerSearch(deadline_s)
    _find_owners(dumps, search)
    return _listing(dumps, search.access_denied, search.timed_out, _users(dumps, search))


def read_socket_groups_in(
    namespaces: Sequence[tuple[int, int]], deadline_s: float
) -> list[SocketListing | Exception]:
    """The same for other network namespaces, each given by a pid and its inode, or why it cannot be read.

    The processes in these namespaces are searched first, the others only if a socket has no known owner.

    Raises:
        OSError: the system starts no thread, or ``/proc`` is missing.
    """
    with calls_in_namespaces([(pid, inode, _dump) for pid, inode in namespaces]) as results:
        pass
    dumps = [result.exception() or result.result() for result in results]
    every = [each for found in dumps if not isinstance(found, BaseException) for each in found]
    search = OwnerSearch(deadline_s, namespaces={inode for _, inode in namespaces})
    _find_owners(every, search)
    is_denied = search.access_denied
    if not search.timed_out and any(each.inodes.not_held() for each in every):
        search = OwnerSearch(deadline_s, known=search.searched)
        _hold(every, search)
        is_denied = is_denied or search.access_denied
    listings = list[SocketListing | Exception]()
    for (pid, inode), found in zip(namespaces, dumps, strict=True):
        if isinstance(found, BaseException):
            listings.append(found if isinstance(found, Exception) else OSError(str(found)))
            continue
        users: Counter[SocketUser] = Counter()
        with suppress(OSError):  # it has ended meanwhile
            if not search.timed_out and any(map(_has_many_not_held, found)):
                users = call_in_namespace(pid, inode, partial(_users, found, search))
        listings.append(_listing(found, is_denied, search.timed_out, users))
    return listings


def _dump() -> list[GroupCounts]:
    """The sockets of the calling thread's network namespace, for each of `_SOURCES`."""
    dumps = []
    for protocol, request, listening in _SOURCES:
        # The listening ports come first: they distinguish accepted connections from outgoing ones.
        ports = inet_diag.dump(request(listening), set[int], parse_ports)
        empty = partial(GroupCounts, protocol, ports)
        dumps.append(inet_diag.dump(request(inet_diag.ALL), empty, parse_groups))
    return dumps


def _users(dumps: Sequence[GroupCounts], search: OwnerSearch) -> Counter[SocketUser]:
    """See `SocketListing`."""
    users: Counter[SocketUser] = Counter()
    for (_, request, _), each in zip(_SOURCES, dumps, strict=True):
        if not search.timed_out and _has_many_not_held(each):
            parse = partial(parse_users, each.inodes.is_not_held)
            users += inet_diag.dump(request(inet_diag.ALL), Counter[SocketUser], parse)
    return users


def _has_many_not_held(groups: GroupCounts) -> bool:
    not_held = groups.inodes.not_held()
    return bool(not_held) and 10 * not_held >= len(groups.inodes)


def _listing(
    dumps: Sequence[GroupCounts], is_denied: bool, timed_out: bool, users: Counter[SocketUser]
) -> SocketListing:
    groups = tuple(group for each in dumps for group in take_groups(each))
    return SocketListing(groups, is_denied, timed_out, users)


def read_users(weights: Mapping[int, int]) -> Counter[SocketUser]:
    """The users of the TCP sockets whose inode has a weight, with the sum of the weights.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    parse = partial(parse_users, lambda inode: weights.get(inode, 0))
    return inet_diag.dump(inet_diag.tcp_request(inet_diag.ALL), Counter[SocketUser], parse)


def parse_ports(datagram: bytes, ports: set[int]) -> bool:
    """Add the local ports."""
    return inet_diag.for_each_socket(
        datagram, lambda start, _: ports.update(_LOCAL_PORT.unpack_from(datagram, start))
    )


def parse_groups(datagram: bytes, groups: GroupCounts) -> bool:
    """Count the sockets."""
    # Local variables and no function call per socket, for speed.
    unpack, ports, numbers, add = (
        _MESSAGE.unpack_from,
        groups.listening_ports,
        groups.numbers,
        groups.inodes.add,
    )
    counts, with_inode = groups.counts, groups.with_inode
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
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(counts)
            counts.append(0)
            with_inode.append(0)
        counts[number] += 1
        if inode:
            with_inode[number] += 1
            add(inode, number)
    return False


def parse_users(weight_of: Callable[[int], int], datagram: bytes, users: Counter[SocketUser]) -> bool:
    """Count the sockets by user; each with the weight of its inode."""
    layouts = inet_diag.Layouts(inet_diag.CGROUP)

    def add(start: int, end: int) -> None:
        uid, inode = _UID_INODE.unpack_from(datagram, start)
        if weight := weight_of(inode):
            at = layouts.of(datagram, start, end).get(inet_diag.CGROUP)
            (cgroup,) = (0,) if at is None else _CGROUP_ID.unpack_from(datagram, start + at)
            users[uid, cgroup] += weight

    return inet_diag.for_each_socket(datagram, add)


def take_groups(groups: GroupCounts) -> Iterator[SocketGroup]:
    """The groups of a dump with the owners found so far. Each is removed from ``groups``, to save memory.

    Raises:
        KernelFormatError: the family or the state of a group is unknown.
    """
    owners = groups.inodes.counts()
    while groups.numbers:
        (family, state, port, remote_port, addresses), number = groups.numbers.popitem()
        local, remote = inet_diag.addresses(family, addresses[:16], addresses[16:])
        yield SocketGroup(
            groups.protocol,
            inet_diag.state_of(state, groups.protocol),
            local,
            socket.ntohs(port),
            remote,
            socket.ntohs(remote_port),
            groups.counts[number],
            groups.counts[number] - groups.with_inode[number],
            owners.pop(number, {}),
        )


def _find_owners(dumps: Sequence[GroupCounts], search: OwnerSearch) -> None:
    """Assign each socket to the processes that have it open. All are searched: several may have it."""
    for each in dumps:
        each.inodes.sort()
    _hold(dumps, search)


def _hold(dumps: Sequence[GroupCounts], search: OwnerSearch) -> None:
    indexes = [each.inodes for each in dumps if len(each.inodes)]
    for pid, links in search if indexes else ():
        for index in indexes:
            index.hold(pid, links)
