"""The HTTP endpoint: one page, on one address, and no client delays another."""

import http.client
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager

import pytest

from network_health.export import endpoint
from network_health.export.bounded_server import MAX_CLIENTS
from network_health.export.endpoint import Endpoint

TEXT = b"network_health_settings_errors 0.0\n"


def free_port(family=socket.AF_INET):
    """A port that is free at this moment."""
    with socket.socket(family) as probe:
        probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(text=lambda: TEXT, host="127.0.0.1"):
    """An endpoint on a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(Endpoint(f"{host}:{free_port(family)}", text)) as served:
        yield served


def get(address, path="/metrics", method="GET"):
    """Status, headers and body."""
    with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def connected(address):
    """A client that sends nothing."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_metrics_page(host):
    """It has the text, in format version 0.0.4, with or without a query."""
    with serving(host=host) as served:
        for path in ("/metrics", "/metrics?name[]=x"):
            status, headers, body = get(served.address, path)
            assert (status, body) == (200, TEXT)
            assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert headers["Content-Length"] == str(len(TEXT))


def test_head_has_the_headers_alone():
    """What a probe asks for: the same status and headers as of GET, and no text."""
    with serving() as served:
        for path, status in (("/metrics", 200), ("/", 404)):
            got, asked = get(served.address, path), get(served.address, path, "HEAD")
            assert (got[0], asked[0], asked[2]) == (status, status, b"")
            assert {**asked[1], "Date": ""} == {**got[1], "Date": ""}


def test_another_page():
    """It says where the metrics are."""
    with serving() as served:
        assert b"404 - The metrics are at /metrics.</p>" in get(served.address, "/")[2]


def test_curl_gets_the_page():
    """A client that is not written in Python works too."""
    with serving() as served:
        done = subprocess.run(
            ["curl", "-fsS", "-m", "10", f"http://{served.address}/metrics"], capture_output=True, check=True
        )
    assert done.stdout == TEXT


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/../metrics", "/-/reload", "/favicon.ico"])
def test_there_is_no_other_page(path):
    """Other paths are not found; the answer names neither the system nor a version."""
    with serving() as served:
        status, headers, body = get(served.address, path)
    assert status == 404
    assert TEXT not in body
    assert headers["Server"] == "network_health"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
def test_there_is_no_other_method(method):
    """Every method other than GET and HEAD is refused."""
    with serving() as served:
        status, _, body = get(served.address, method=method)
    assert status == 501
    assert TEXT not in body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 70_000,
        b"\x16\x03\x01",
    ],
)
def test_an_invalid_request_does_no_harm(request_bytes):
    """An invalid request gets no metrics, and the next client is served."""
    with serving() as served:
        with closing(connected(served.address)) as client:
            client.sendall(request_bytes)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := client.recv(65536):
                    answer += part
            except ConnectionError:  # closed before everything was read
                pass
        assert TEXT not in answer
        assert get(served.address)[2] == TEXT


def test_hanging_clients_delay_no_other_client(monkeypatch):
    """With too many hanging clients a proper request is answered and the oldest is disconnected."""
    monkeypatch.setattr(endpoint, "_TIMEOUT_S", 600)
    with serving() as served:
        hung = [connected(served.address) for _ in range(MAX_CLIENTS + 10)]
        try:
            assert get(served.address)[2] == TEXT
            assert hung[0].recv(1) == b""
            assert hung[-1].fileno() >= 0
        finally:
            for client in hung:
                client.close()


def test_a_slow_client_is_disconnected(monkeypatch):
    """A client that sends a byte now and then is disconnected after the timeout."""
    monkeypatch.setattr(endpoint, "_TIMEOUT_S", 0.3)
    with serving() as served, closing(connected(served.address)) as client:
        client.settimeout(0.05)
        disconnected = threading.Event()

        def drip():
            try:
                client.sendall(b"G")
                disconnected.set() if client.recv(1) == b"" else None
            except TimeoutError:
                pass
            except ConnectionError:
                disconnected.set()
            return disconnected.is_set()

        wait_until(drip)


def test_a_client_that_does_not_read_is_disconnected(monkeypatch):
    """Its thread, blocked in a write, ends after the timeout."""
    monkeypatch.setattr(endpoint, "_TIMEOUT_S", 0.3)
    with serving(lambda: b"x" * 50_000_000) as served, closing(connected(served.address)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        wait_until(lambda: not [t for t in threading.enumerate() if "process_request_thread" in t.name])


def test_a_closed_port_is_free_at_once():
    """Even with connected clients, the same port can be opened again right after close."""
    address = f"127.0.0.1:{free_port()}"
    for _ in range(5):
        served = Endpoint(address, lambda: TEXT)
        hung = connected(address)
        assert get(address)[2] == TEXT
        served.close()
        with pytest.raises(ConnectionRefusedError):
            connected(address)
        assert hung.recv(1) == b""
        hung.close()


def test_a_port_in_use():
    """It raises the system's error; the other server keeps working."""
    with serving() as served:
        with pytest.raises(OSError, match="in use"):
            Endpoint(served.address, lambda: b"")
        assert get(served.address)[2] == TEXT


def test_an_address_of_another_host():
    """It raises the system's error."""
    with pytest.raises(OSError, match="assign"):
        Endpoint("192.0.2.1:9101", lambda: TEXT)


@pytest.mark.root
def test_it_listens_on_the_given_address_only(namespace):
    """The only listening socket is on 127.0.0.1."""

    def inside():
        with closing(Endpoint("127.0.0.1:9101", lambda: TEXT)):
            return subprocess.run(["ss", "-Hltun"], capture_output=True, text=True, check=True).stdout

    (line,) = namespace().call(inside).splitlines()
    assert line.split()[4] == "127.0.0.1:9101"


def test_its_threads_are_daemons():
    """Its threads do not keep the agent's process alive."""
    with serving() as served, closing(connected(served.address)):
        wait_until(lambda: len([t for t in threading.enumerate() if t is not threading.main_thread()]) >= 2)
        assert all(t.daemon for t in threading.enumerate() if t is not threading.main_thread())


def test_without_a_thread_the_port_is_free(monkeypatch):
    """If the thread cannot be started, the port is not left open."""
    address = f"127.0.0.1:{free_port()}"

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError) as raised:
            Endpoint(address, lambda: TEXT)
    Endpoint(address, lambda: TEXT).close()
    del raised  # until here the exception kept the endpoint's socket alive
