"""The last word of TCP sockets that are closed, from the groups of ``NETLINK_SOCK_DIAG``.

See sock_diag(7) and the kernel's sock_diag.h (``SKNLGRP_INET_TCP_DESTROY``). Laws: a closed socket has
its final bytes and its cookie, but no inode. What did not fit into the buffer is lost, and said so.
"""

from __future__ import annotations

import errno
import socket

from network_health.model import Socket
from network_health.sources.linux import inet_diag, sockets

_GROUPS = 1 << 0 | 1 << 2  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_SO_RCVBUFFORCE = 33
#: A message takes about 1,280 bytes of it, so this holds some 6,500 closed sockets.
_BUFFER_BYTES = 8 << 20
_MESSAGE_BYTES = 8192


class ClosedSockets:
    """Listens to the sockets that are closed in the calling thread's network namespace.

    Raises:
        OSError: the kernel refuses.
    """

    def __init__(self) -> None:
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, inet_diag.PROTOCOL)
        try:
            try:
                self._kernel.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            except PermissionError:  # without CAP_NET_ADMIN: as much as anybody may have
                self._kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._kernel.setblocking(False)
            self._kernel.bind((0, _GROUPS))
        except OSError:
            self._kernel.close()
            raise

    def take(self) -> tuple[list[Socket], bool]:
        """The sockets closed since the last call, and whether these are all of them.

        Raises:
            KernelFormatError: what the kernel tells cannot be read.
            OSError: the kernel refuses.
        """
        closed: list[Socket] = []
        is_whole = True
        while True:
            try:
                sockets.parse(self._kernel.recv(_MESSAGE_BYTES), closed)
            except BlockingIOError:
                return closed, is_whole
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_whole = False

    def close(self) -> None:
        """Stop listening."""
        self._kernel.close()
