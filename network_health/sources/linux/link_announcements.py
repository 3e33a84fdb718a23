"""Receives the announcements of changed links and addresses from ``NETLINK_ROUTE``; see rtnetlink(7).

Guarantees: the buffer of announcements is bounded. If it was full, some are missing.
"""

from __future__ import annotations

import errno
import socket
import struct

from network_health.sources.linux import netlink

_NETLINK_ROUTE = 0
_GROUPS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_NEWLINK, _DELLINK = 16, 17
_LINK = struct.Struct("=BxxxiII")  # ifinfomsg: family, index, flags, change
_IFLA_STATS64 = 23
#: About a thousand announcements.
_BUFFER_BYTES = 1 << 20
#: While one read takes announcements, more may come.
_MAX_DATAGRAMS = 4096
_MAX_DATAGRAM_BYTES = 1 << 16


def subscribe() -> socket.socket:
    """A socket that is readable after a change, or if an announcement was lost.

    Raises:
        OSError: the kernel denies access.
    """
    return netlink.subscribe(_NETLINK_ROUTE, _GROUPS, _BUFFER_BYTES)


def added_links(announcements: socket.socket, known: set[int]) -> dict[int, bytes]:
    """The counters with which each added link was announced, by index, as a rtnl_link_stats64.

    The kernel announces a link when it is created, with counters of 0, and when it comes from another network
    namespace, with the counters that it has. This takes all announcements out of the socket.

    Args:
        announcements: a socket of `subscribe`.
        known: the indexes of the links that were there before; those of removed links are taken out.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: an announcement has an unknown format.
    """
    added: dict[int, bytes] = {}
    for _ in range(_MAX_DATAGRAMS):
        try:
            datagram, (sender, _groups) = announcements.recvfrom(_MAX_DATAGRAM_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # it was full, and has what came before
                raise
            continue
        if sender == 0:
            parse_announcements(datagram, known, added)
    return added


def parse_announcements(datagram: bytes, known: set[int], added: dict[int, bytes]) -> None:
    """Add the links of one datagram to ``added``, and take those that it removes out of both.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind not in (_NEWLINK, _DELLINK) or end - start < _LINK.size:
            continue
        family, index, _, _ = _LINK.unpack_from(datagram, start)
        if family != socket.AF_UNSPEC:  # a bridge announces its ports in the same group
            continue
        if kind == _DELLINK:
            known.discard(index)
            added.pop(index, None)
        elif index not in known and index not in added:
            found = netlink.attributes(datagram, start + _LINK.size, end, (_IFLA_STATS64,))
            if _IFLA_STATS64 in found:
                added[index] = found[_IFLA_STATS64]
