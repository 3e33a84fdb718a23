"""Reads what TCP sockets carried and sent again, from ``NETLINK_SOCK_DIAG`` with ``tcp_info``.

See sock_diag(7) and tcp(7). Guarantees: a listing has the sockets of the calling thread's network namespace.
Sockets are compared by cookie.
"""

from __future__ import annotations

import math
import struct
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from network_health.model import BYTE_COUNTER, RESENT_COUNTER, Socket
from network_health.sources.linux import equal_messages, inet_diag
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.equal_messages import EqualMessages
from network_health.sources.linux.inet_diag import INFO, MARK, Layouts
from network_health.sources.linux.sockets import LISTEN, SYN_RECV, parse_socket, resent_by

_STATE_AND_COOKIE = struct.Struct("=xB42xQ")
_STATE, _COOKIE = 1, 44
_INODE = slice(68, 72)
_INODE_NUMBER = struct.Struct("=68xI")
_BYTES = slice(120, 136)  # of tcp_info: tcpi_bytes_acked, tcpi_bytes_received
_NO_BYTES, _NO_INODE = bytes(16), bytes(4)
_RESENT = slice(100, 104)  # of tcp_info: tcpi_total_retrans
_NONE_RESENT = bytes(4)
_SYN_SENT = 2
_WITHOUT_BYTES = bytes((_SYN_SENT, SYN_RECV, LISTEN))
#: All states except TIME_WAIT, in which nothing is sent again.
_STATES = inet_diag.ALL & ~(1 << 6)


@dataclass(slots=True)
class TcpBytes:
    """One listing: counters by cookie, and the sockets whose counter differs from ``before``.

    ``resent`` has the sockets that sent segments again; ``resent_before`` is that of the listing before.
    ``changed`` is empty in a first listing (``before`` is ``None``); the counters are empty in a last one.
    """

    before: Mapping[int, bytes] | None
    resent_before: Mapping[int, bytes] = field(default_factory=dict)
    counters: ByteCounters = field(default_factory=ByteCounters)
    resent: ByteCounters = field(default_factory=lambda: ByteCounters(RESENT_COUNTER))
    changed: list[Socket] = field(default_factory=list)
    listeners: list[Socket] = field(default_factory=list)
    is_last: bool = False
    deadline_s: float = math.inf

    def add_same(self, cookies: array[int], counters: bytes, first: int, end: int) -> int:
        """Add sockets from number ``first`` on, as long as they have the counters of the listing before.

        At most up to number ``end``; in a first listing all are added. Returns how many were added.
        """
        same, before = end - first, self.before
        if before is not None:
            if not isinstance(before, ByteCounters):  # it has no order
                return 0
            same = before.count_same(cookies, counters, first, end)
        if same and not self.is_last:
            size = BYTE_COUNTER.size
            self.counters.extend(
                cookies[first : first + same], counters[first * size : (first + same) * size]
            )
        return same

    def add_resent(self, cookie: int, segments: int, octets: int, inode: int) -> bool:
        """Add what a socket sent again in its lifetime; whether that is more than in the listing before."""
        previous = self.resent_before.get(cookie)
        before, _, inode_before = RESENT_COUNTER.unpack(previous) if previous else (0, 0, 0)
        if segments and not self.is_last:
            self.resent.add(cookie, RESENT_COUNTER.pack(segments, octets, inode or inode_before))
        return self.before is not None and segments != before


def read_tcp_bytes(
    before: Mapping[int, bytes] | None,
    resent_before: Mapping[int, bytes],
    deadline_s: float = math.inf,
    *,
    is_last: bool = False,
) -> TcpBytes:
    """List the sockets that can send, and the listeners; compare with the counters of the listing before.

    Raises:
        TimeoutError: the clock has reached ``deadline_s``.
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    request = inet_diag.tcp_request(_STATES, 1 << INFO - 1)
    return inet_diag.dump(
        request, partial(TcpBytes, before, resent_before, is_last=is_last, deadline_s=deadline_s), parse
    )


def parse(datagram: bytes, listing: TcpBytes) -> bool:
    """Add the sockets of one datagram to ``listing``; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error, or the time of the listing is up.
        KernelFormatError: the datagram has an unknown format.
    """
    if time.monotonic() > listing.deadline_s:
        raise TimeoutError("not all sockets were read in time")
    layouts = Layouts(INFO, MARK)
    add = partial(_add, datagram, layouts, listing)
    add_equal = partial(_add_equal, datagram, layouts, listing, add)
    return equal_messages.for_each_socket(datagram, add, add_equal)


def _add_equal(
    datagram: bytes,
    layouts: Layouts,
    listing: TcpBytes,
    add: Callable[[int, int], None],
    messages: EqualMessages,
) -> None:
    """Add the sockets of equal messages; many at once if they have the counters of the listing before."""
    layout = layouts.of(datagram, *messages.body(0))
    if INFO not in layout:
        for number in range(messages.count):
            add(*messages.body(number))
        return
    cookies = array("Q", messages.rows(_COOKIE, _COOKIE + 4))
    octets = range(layout[INFO] + _BYTES.start, layout[INFO] + _BYTES.stop, 4)
    counters = messages.rows(*octets, _INODE.start)
    number = 0
    for end in (*_special(datagram, messages, layout), messages.count):
        while number < end:
            number += listing.add_same(cookies, counters, number, end)
            if number < end:
                add(*messages.body(number))
                number += 1
        if end < messages.count:
            add(*messages.body(end))
            number += 1


def _special(datagram: bytes, messages: EqualMessages, layout: Mapping[int, int]) -> Sequence[int]:
    """The numbers of the messages that do not only have a cookie and a `BYTE_COUNTER` to be read.

    These are sockets that sent segments again, that have no bytes or no inode, or that have another layout.
    """
    start, _ = messages.body(0)
    states = datagram[start + _STATE : messages.end : messages.length]
    inodes, resent = messages.column(_INODE.start), messages.column(layout[INFO] + _RESENT.start)
    attributes = [messages.column(at - 4) for at in layout.values()]
    if (
        len(states.translate(None, _WITHOUT_BYTES)) == messages.count
        and all(inodes)
        and not any(resent)
        and all(each == each[:1] * messages.count for each in attributes)
    ):
        return ()
    return [
        n
        for n in range(messages.count)
        if states[n] in _WITHOUT_BYTES
        or not inodes[n]
        or resent[n]
        or any(each[n] != each[0] for each in attributes)
    ]


def _add(datagram: bytes, layouts: Layouts, listing: TcpBytes, start: int, end: int) -> None:
    """Add the socket whose message body is between ``start`` and ``end``."""
    state, cookie = _STATE_AND_COOKIE.unpack_from(datagram, start)
    layout = layouts.of(datagram, start, end)
    if state == LISTEN:
        listing.listeners.append(parse_socket(datagram, start, layout))
        return
    at = start + layout[INFO] if INFO in layout else None
    grew = False
    if state == SYN_RECV or (at and datagram[at + _RESENT.start : at + _RESENT.stop] != _NONE_RESENT):
        inode_number = _INODE_NUMBER.unpack_from(datagram, start)[0]
        resent = resent_by(datagram, start, layout, state)
        grew = listing.add_resent(cookie, *resent, inode_number)
    if state in (SYN_RECV, _SYN_SENT):  # it has no bytes
        if grew:
            listing.changed.append(parse_socket(datagram, start, layout))
        return
    octets = _NO_BYTES if at is None else datagram[at + _BYTES.start : at + _BYTES.stop]
    inode = datagram[start + _INODE.start : start + _INODE.stop]
    previous = None if listing.before is None else listing.before.get(cookie)
    if inode == _NO_INODE and previous is not None:  # closed by its process: keep the last known inode
        inode = previous[16:]
    counter = octets + inode
    if not listing.is_last:
        listing.counters.add(cookie, counter)
    if grew or (counter != previous and listing.before is not None):
        # Only a socket with traffic becomes a Python object.
        inode_number = BYTE_COUNTER.unpack(counter)[2]
        listing.changed.append(parse_socket(datagram, start, layout)._replace(inode=inode_number))
