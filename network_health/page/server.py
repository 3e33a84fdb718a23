"""Serves the page over HTTP: ``/`` and nothing else.

Guarantees: no file is read by a request. Only GET and HEAD are answered, and only for a host that is an IP
address or ``localhost``: a website whose name resolves to this address cannot read the page (DNS rebinding).
The page is made once for all requests of the next seconds. Clients are bounded by `BoundedServer`.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from network_health.export import BoundedServer, QuietHandler
from network_health.history import HistoryError

#: Enough to receive a page of 6 MB at 1 Mbps.
_TIMEOUT_S = 60.0
#: A page is made again at the earliest after this time, and after this many times what it took to make it.
_MIN_AGE_S = 5.0
_MIN_AGE_RATIO = 5
#: A host of an HTTP request: an address, or a name; then a port, or none.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+))(?::[0-9]{1,5})?", re.ASCII)
_HEADERS = {
    # The page has its own, stricter policy; this one holds for error pages, too.
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageServer:
    """Serves the HTML that ``make()`` returns at ``address``, "HOST:PORT" with an IP address.

    A later `HistoryError` of ``make`` is shown instead of the page.

    Raises:
        HistoryError: the first page cannot be made.
        OSError: the system refuses to listen on the address.
    """

    def __init__(self, address: str, make: Callable[[], bytes]) -> None:
        self._server = _Server(address, make)
        host, port = self._server.server_address[:2]
        self.url = f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"

    def run(self) -> None:
        """Serve until an exception, for example `KeyboardInterrupt`; then the port is free."""
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()
            self._server.disconnect_clients()


class _Server(BoundedServer):
    def __init__(self, address: str, make: Callable[[], bytes]) -> None:
        self._make = make
        self._making = threading.Lock()
        self._made: bytes | HistoryError = b""
        self._renew()
        super().__init__(address, _Handler, _TIMEOUT_S)

    def page(self) -> bytes | HistoryError:
        """The page, or why there is none."""
        with self._making:
            if time.monotonic() >= self._valid_until_s:
                try:
                    self._renew()
                except HistoryError as error:
                    self._made = error
            return self._made

    def _renew(self) -> None:
        began_s = time.monotonic()
        try:
            self._made = self._make()
        finally:
            ended_s = time.monotonic()
            self._valid_until_s = ended_s + max(_MIN_AGE_S, _MIN_AGE_RATIO * (ended_s - began_s))


class _Handler(QuietHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _is_address(hosts[0]):
            explain = "Open the page by an IP address or as localhost"
            # Not the constant itself: on Python 3.10 the page would have its name.
            self.send_error(HTTPStatus.FORBIDDEN.value, "Unknown host", explain)
            return
        if self.path != "/":
            self.send_error(HTTPStatus.NOT_FOUND.value, explain="The page is at /")
            return
        page = self.server.page()
        if isinstance(page, HistoryError):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE.value, "No history", str(page))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    def end_headers(self) -> None:
        """Add the headers that every answer has."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()


def _is_address(host: str) -> bool:
    """Whether a request is for an IP address or ``localhost``, which no website can take as its name."""
    match = _HOST.fullmatch(host)
    if match is None or (match[2] or "").lower() == "localhost":
        return match is not None
    try:
        ipaddress.ip_address(match[1] or match[2])
    except ValueError:
        return False
    return True
