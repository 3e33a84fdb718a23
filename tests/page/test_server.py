"""The server of the page: one page, for this host, by GET alone."""

import http.client
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager

import pytest

from network_health.export.bounded_server import MAX_CLIENTS
from network_health.history import HistoryError
from network_health.page import server
from network_health.page.server import PageServer

PAGE = "<!doctype html><title>ü</title>".encode()


@contextmanager
def serving(make=lambda: PAGE, host="127.0.0.1"):
    """A server on a free port; gives its address."""
    served = PageServer(f"{host}:0", make)
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    try:
        yield served.url.removeprefix("http://").removesuffix("/")
    finally:
        served._server.shutdown()
        thread.join(60)


@pytest.fixture(scope="module")
def where():
    """The address of a server that several tests use."""
    with serving() as address:
        yield address


def answer(where, path="/", **headers):
    """Status, headers and body."""
    with closing(http.client.HTTPConnection(where, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def connected(where):
    """A client that sends nothing."""
    host, _, port = where.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=60)


def raw(where, request):
    """All bytes of the answer to these bytes."""
    with connected(where) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := client.recv(65536):
                parts.append(part)
        except ConnectionError:  # closed before everything was read
            pass
        return b"".join(parts)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_page(host):
    """The root has the page, and headers that keep other websites from it."""
    with serving(host=host) as where:
        status, headers, body = answer(where)
    assert (status, body) == (200, PAGE)
    assert headers.pop("Date")
    policy = headers.pop("Content-Security-Policy").split("; ")
    assert (policy[0], policy[-1]) == ("default-src 'none'", "frame-ancestors 'none'")
    assert headers == {
        "Server": "network_health",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(PAGE)),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def test_head(where):
    """HEAD has the headers of GET and no body."""
    got = raw(where, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert f"Content-Length: {len(PAGE)}".encode() in head
    assert body == b""


@pytest.mark.parametrize(
    "path",
    [
        *("/index.html", "/?x", "/./", "/..", "/%2e%2e/etc/passwd", "/etc/passwd", "/favicon.ico", "*"),
        *("/network-health-history.sqlite", "http://127.0.0.1/"),
    ],
)
def test_there_is_nothing_else(where, path):
    """Every other path is not found, and its answer has the same headers."""
    status, headers, body = answer(where, path)

    assert status == 404
    assert PAGE not in body
    assert b"The page is at /.<" in body
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get"])
def test_there_is_no_other_method(where, method):
    """Only GET and HEAD are answered."""
    got = raw(where, f"{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())

    assert got.startswith(b"HTTP/1.0 501 ")
    assert PAGE not in got


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "LOCALHOST", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3"]
)
def test_hosts_that_no_website_can_take(where, host):
    """An address or ``localhost``, with any port: a forwarded port has another number."""
    assert answer(where, Host=host)[::2] == (200, PAGE)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "", "[]"),
        *("127.0.0.1@evil.example", "127.0.0.1, evil.example", "[::1", "127.0.0.1:port", "0x7f000001", "1"),
    ],
)
def test_a_name_that_resolves_to_this_host(where, host):
    """A website that points its own name here (DNS rebinding) is refused."""
    status, _, body = answer(where, Host=host)

    assert status == 403
    assert PAGE not in body
    assert b"or as localhost.<" in body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /\r\n",
        b"\r\n\r\n",
        b"\0" * 100,
        b"\x16\x03\x01",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"x" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_an_invalid_request_does_no_harm(where, request_bytes):
    """It does not get the page, and the next client does."""
    assert PAGE not in raw(where, request_bytes)
    assert answer(where)[2] == PAGE


def test_many_requests_make_one_page():
    """Requests at the same time wait for one page, which is used for the following seconds."""
    made, answers = [], []

    def make():
        made.append(1)
        time.sleep(0.2)
        return PAGE

    with serving(make) as where:
        threads = [threading.Thread(target=lambda: answers.append(answer(where)[2])) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (made, answers) == ([1], [PAGE] * 10)


def test_a_new_page_after_some_seconds(monkeypatch):
    """A page that is old enough is made again; the first one is made before the server listens."""
    monkeypatch.setattr(server, "_MIN_AGE_S", 0)
    monkeypatch.setattr(server, "_MIN_AGE_RATIO", 0)
    numbers = iter(range(9))
    with serving(lambda: b"%d" % next(numbers)) as where:
        assert [answer(where)[2] for _ in range(3)] == [b"1", b"2", b"3"]


def test_without_a_history_it_says_so(monkeypatch):
    """The error is shown as text; as soon as there is a history again, the page is."""
    monkeypatch.setattr(server, "_MIN_AGE_S", 0)
    monkeypatch.setattr(server, "_MIN_AGE_RATIO", 0)
    errors = []

    def make():
        if errors:
            raise errors.pop()
        return PAGE

    with serving(make) as where:
        errors.append(HistoryError("<script>a file</script> is damaged"))
        status, _, body = answer(where)
        assert status == 503
        assert b"&lt;script&gt;a file&lt;/script&gt; is damaged" in body
        assert answer(where)[::2] == (200, PAGE)


def test_hanging_clients_delay_no_other_client(where):
    """With more hanging clients than are allowed a request is answered, and the oldest is disconnected."""
    hung = [connected(where) for _ in range(MAX_CLIENTS + 10)]
    try:
        assert answer(where)[2] == PAGE
        assert hung[0].recv(1) == b""
    finally:
        for client in hung:
            client.close()


def test_a_client_that_does_not_read_is_disconnected(monkeypatch):
    """Its thread ends after the timeout."""
    monkeypatch.setattr(server, "_TIMEOUT_S", 0.3)
    with serving(lambda: b"x" * 50_000_000) as where, connected(where) as client:
        client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert client.recv(5) == b"HTTP/"
        deadline = time.monotonic() + 60
        while any("process_request_thread" in thread.name for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.root
def test_it_listens_on_the_given_address_only(namespace):
    """The only listening socket is on the address that was given."""

    def inside():
        with serving():
            return subprocess.run(["ss", "-Hltun"], capture_output=True, text=True, check=True).stdout

    (line,) = namespace().call(inside).splitlines()
    assert line.split()[4].startswith("127.0.0.1:")
