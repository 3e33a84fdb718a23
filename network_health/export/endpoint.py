"""Serves the metrics over HTTP: ``GET`` and ``HEAD`` of ``/metrics``, and nothing else.

Guarantees: those of `BoundedServer`. `Endpoint.close` frees the port before it returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus

from network_health.export.bounded_server import BoundedServer, QuietHandler

#: The text format that every version of Prometheus reads.
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Prometheus' own default timeout of a scrape.
_TIMEOUT_S = 10.0


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


class _Server(BoundedServer):
    def __init__(self, address: str, text: Callable[[], bytes]) -> None:
        self.text = text
        super().__init__(address, _Handler, _TIMEOUT_S)


class _Handler(QuietHandler):
    server: _Server

    def do_GET(self) -> None:
        self.wfile.write(self._send_head())

    def do_HEAD(self) -> None:
        self._send_head()

    def _send_head(self) -> bytes:
        """Status and headers; returns the text that follows them after a ``GET``."""
        if self.path.partition("?")[0] != "/metrics":
            # Not the constant itself: on Python 3.10 the page would have its name.
            self.send_error(HTTPStatus.NOT_FOUND.value, explain="The metrics are at /metrics")
            return b""
        text = self.server.text()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        return text
