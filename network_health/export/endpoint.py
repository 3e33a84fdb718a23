"""The figures over HTTP: ``GET /metrics`` and nothing else.

Laws: it listens on the one address that it is given. No client holds up another one, or the agent: each has
a thread of its own, for `_LONGEST_S` at most, and of too many the oldest has to go. `Endpoint.close` frees
the port before it returns.
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

#: Of the text format that every Prometheus reads.
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: As long as Prometheus waits, by default.
_LONGEST_S = 10.0
_MOST_CLIENTS = 32
_PAUSE_S = 0.1


class Endpoint:
    """Serves ``text()`` at ``address``, "HOST:PORT" with an IP address, until it is closed.

    Raises:
        OSError: the address cannot be listened on.
        RuntimeError: the system has no thread for it.
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
        """Free the port, and end every connection."""
        self._server.shutdown()
        self._server.server_close()
        self._server.end_clients()


def socket_address(address: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family, host and port of "HOST:PORT"."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    return family, (host.strip("[]"), int(port))


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts, and watches over its clients' time."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = _MOST_CLIENTS

    def __init__(self, address: str, text: Callable[[], bytes]) -> None:
        self.address_family, where = socket_address(address)
        self.text = text
        self._clients: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(where, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:  # no descriptor left, say: it would be asked for again at once
            time.sleep(_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base has it
        with self._lock:
            if len(self._clients) >= _MOST_CLIENTS:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                _end(oldest)
            self._clients[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base has it
        with self._lock:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: no client has longer than it may."""
        self.end_clients(_LONGEST_S)

    def end_clients(self, older_than_s: float = 0) -> None:
        """End the connections that are at least so old."""
        now_s = time.monotonic()
        with self._lock:
            for client, since_s in self._clients.items():
                if now_s - since_s >= older_than_s:
                    _end(client)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base has it
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND, explain="The figures are at /metrics.")
            return
        text = self.server.text()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def version_string(self) -> str:
        """What stands in the header ``Server``: no version to look weaknesses up by."""
        return "network_health"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as the base has it
        """Scrapes are not logged."""


def _end(client: socket.socket) -> None:
    """Its thread's next read or write fails."""
    with contextlib.suppress(OSError):  # it has gone by itself
        client.shutdown(socket.SHUT_RDWR)
