"""Serves HTTP with bounded clients.

Guarantees: it listens on the given address only. A slow client delays no other client: each one has its own
thread, for at most ``timeout_s``, and of too many clients the oldest is disconnected.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

MAX_CLIENTS = 32
_PAUSE_S = 0.1


def socket_address(address: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family, host and port of "HOST:PORT"."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    return family, (host.strip("[]"), int(port))


class BoundedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on ``address``, "HOST:PORT" with an IP address, and limits the number and time of clients.

    Raises:
        OSError: the system refuses to listen on the address.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = MAX_CLIENTS

    def __init__(self, address: str, handler: type[QuietHandler], timeout_s: float) -> None:
        self.address_family, host_port = socket_address(address)
        self._timeout_s = timeout_s
        self._clients: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(host_port, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client."""
        try:
            return super().get_request()
        except OSError:  # for example no file descriptor left: without a pause, the base class spins
            time.sleep(_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: object) -> None:  # noqa: ANN401 - a socket; datagrams are not served
        """Serve a client in a thread of its own."""
        with self._lock:
            if len(self._clients) >= MAX_CLIENTS:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                _disconnect(oldest)
            self._clients[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - a socket; datagrams are not served
        """Disconnect a client that was served."""
        with self._lock:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Disconnect clients that exceed the timeout; called twice a second by the base class."""
        self.disconnect_clients(self._timeout_s)

    def disconnect_clients(self, min_age_s: float = 0) -> None:
        """Disconnect the clients that have been connected for at least this long."""
        now_s = time.monotonic()
        with self._lock:
            for client, since_s in self._clients.items():
                if now_s - since_s >= min_age_s:
                    _disconnect(client)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors of a client's connection; the base class prints them."""


class QuietHandler(BaseHTTPRequestHandler):
    """Logs nothing, and sends no version of Python."""

    def version_string(self) -> str:
        """The header ``Server``, without the Python version, which could help an attacker."""
        return "network_health"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing; the base class writes each request to stderr."""


def _disconnect(client: socket.socket) -> None:
    """Make the next read or write of the client's thread fail."""
    with contextlib.suppress(OSError):  # already disconnected
        client.shutdown(socket.SHUT_RDWR)
