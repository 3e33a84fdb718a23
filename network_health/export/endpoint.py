"""Serves the metrics over HTTP: ``GET /metrics`` and nothing else.

Guarantees: it listens on the given address only. A slow client delays neither other clients nor the agent:
each client has its own thread, for at most `_TIMEOUT_S`, and of too many clients the oldest is disconnected.
`Endpoint.close` frees the port before it returns.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

#: The text format that every version of Prometheus reads.
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Prometheus' own default timeout of a scrape.
_TIMEOUT_S = 10.0
_MAX_CLIENTS = 32
_PAUSE_S = 0.1


class Endpoint:
    """Serves ``text()`` at ``address``, "HOST:PORT" with an IP address, until it is closed.

    Raises:
        OSError: the system refuses to listen on the address.
        RuntimeError: the system cannot start a thread.
    """

    def __init__(self, address: str, text: Callable[[], bytes]) -> None:
        self.address = address
        self._server = _Server(address, text)
        thread = threading.Thread(target=self._server.serve_forever, name="prometheus-listen", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._server.server_close()
            raise

    def close(self) -> None:
        """Free the port and disconnect all clients."""
        self._server.shutdown()
        self._server.server_close()
        self._server.disconnect_clients()


def socket_address(address: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family, host and port of "HOST:PORT"."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    return family, (host.strip("[]"), int(port))


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts clients and limits their number and time."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = _MAX_CLIENTS

    def __init__(self, address: str, text: Callable[[], bytes]) -> None:
        self.address_family, host_port = socket_address(address)
        self.text = text
        self._clients: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(host_port, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:  # for example no file descriptor left: without a pause, the base class spins
            time.sleep(_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base has it
        with self._lock:
            if len(self._clients) >= _MAX_CLIENTS:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                _disconnect(oldest)
            self._clients[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base has it
        with self._lock:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Disconnect clients that exceed the timeout; called twice a second by the base class."""
        self.disconnect_clients(_TIMEOUT_S)

    def disconnect_clients(self, min_age_s: float = 0) -> None:
        """Disconnect the clients that have been connected for at least this long."""
        now_s = time.monotonic()
        with self._lock:
            for client, since_s in self._clients.items():
                if now_s - since_s >= min_age_s:
                    _disconnect(client)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base has it
        """Ignore errors of a client's connection; the base class prints them."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND, explain="The metrics are at /metrics.")
            return
        text = self.server.text()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def version_string(self) -> str:
        """The header ``Server``, without the Python version, which could help an attacker."""
        return "network_health"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as the base has it
        """Log nothing; the base class writes each request to stderr."""


def _disconnect(client: socket.socket) -> None:
    """Make the next read or write of the client's thread fail."""
    with contextlib.suppress(OSError):  # already disconnected
        client.shutdown(socket.SHUT_RDWR)
