"""Receives the final state of TCP sockets when they are closed, from ``NETLINK_SOCK_DIAG`` multicast groups.

See sock_diag(7) and ``SKNLGRP_INET_TCP_DESTROY`` in the kernel's sock_diag.h. Guarantees: a closed socket has
its cookie and its final byte counts, but no inode. `ClosedSockets.take` reads a bounded number of messages.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from network_health.model import Socket
from network_health.sources.linux import inet_diag, netlink, sockets

_GROUPS = 1 << 0 | 1 << 2  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_SO_RCVBUFFORCE = 33
#: Room for about 6,500 closed sockets; a message takes about 1,280 bytes of it.
_BUFFER_BYTES = 8 << 20
_MESSAGE_BYTES = 8192
#: Three times what fits into the buffer. More arrive only if sockets are closed faster than they are read.
_MAX_TAKEN = 20_000


class ClosedSockets:
    """Subscribes to the sockets that are closed in the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self) -> None:
        self._kernel = netlink.subscribe(inet_diag.PROTOCOL, _GROUPS, _BUFFER_BYTES)
        with contextlib.suppress(PermissionError):  # without CAP_NET_ADMIN net.core.rmem_max is the limit
            self._kernel.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._kernel.setblocking(False)

    def take(self) -> tuple[list[Socket], bool]:
        """The sockets closed since the last call; the flag is false if some of them are missing.

        Raises:
            KernelFormatError: a message has an unknown format.
            OSError: the kernel reports an error.
        """
        closed: list[Socket] = []
        is_whole = True
        while len(closed) < _MAX_TAKEN:
            try:
                sockets.parse(self._kernel.recv(_MESSAGE_BYTES), closed)
            except BlockingIOError:
                return closed, is_whole
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_whole = False
        return closed, False

    def close(self) -> None:
        """Unsubscribe."""
        self._kernel.close()
