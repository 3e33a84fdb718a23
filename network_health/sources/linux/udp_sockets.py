"""Lists the UDP sockets that lose datagrams, from ``NETLINK_SOCK_DIAG``; see sock_diag(7) and sock_diag.h.

Guarantees: a list has sockets of the calling thread's network namespace. A socket that never lost a datagram,
and whose send buffer is less than half full, is not in it.
"""

from __future__ import annotations

import socket
import struct

from network_health.model import UdpSocket
from network_health.sources.linux import inet_diag
from network_health.sources.linux.inet_diag import MEMORY

#: Of inet_diag_msg: family, ports, addresses, cookie, inode.
_MESSAGE = struct.Struct("=B3xHH16s16s4xQ16xI")
_MEMORY = struct.Struct("=8xII16xI")  # SK_MEMINFO_WMEM_ALLOC, SK_MEMINFO_SNDBUF, SK_MEMINFO_DROPS


def read_lossy_udp_sockets() -> list[UdpSocket]:
    """The UDP sockets, IPv4 and IPv6, that lost datagrams or whose send buffer is half full.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    found: list[UdpSocket] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = inet_diag.udp_request(family, extensions=1 << MEMORY - 1)
        of_family: list[UdpSocket] = inet_diag.dump(request, list, parse)
        found += of_family
    return found


def parse(datagram: bytes, sockets: list[UdpSocket]) -> bool:
    """Add the sockets of one datagram to ``sockets``; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    layouts = inet_diag.Layouts(MEMORY)

    def add(start: int, end: int) -> None:
        layout = layouts.of(datagram, start, end)
        if MEMORY not in layout:
            return
        queued, limit, drops = _MEMORY.unpack_from(datagram, start + layout[MEMORY])
        if not drops and 2 * queued < limit:
            return
        family, port, remote_port, local, remote, cookie, inode = _MESSAGE.unpack_from(datagram, start)
        local, remote = inet_diag.addresses(family, local, remote)
        ports = socket.ntohs(port), socket.ntohs(remote_port)
        sockets.append(UdpSocket(local, ports[0], remote, ports[1], inode, cookie, drops, queued, limit))

    return inet_diag.for_each_socket(datagram, add)
