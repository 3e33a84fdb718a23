"""The figures over HTTP: one page, on one address, and no client in the way of another."""

import http.client
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager

import pytest

from network_health.export import endpoint
from network_health.export.endpoint import Endpoint

TEXT = b"network_health_settings_errors 0.0\n"


def free_port(family=socket.AF_INET):
    """A port that nobody listens on, for the moment."""
    with socket.socket(family) as probe:
        probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(text=lambda: TEXT, host="127.0.0.1"):
    """An endpoint on a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(Endpoint(f"{host}:{free_port(family)}", text)) as served:
        yield served


def ask(address, path="/metrics", method="GET"):
    """Status, headers and body."""
    with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def connected(address):
    """A client that says nothing."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)


def eventually(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_page(host):
    """The text, as the format of version 0.0.4, with or without a query."""
    with serving(host=host) as served:
        for path in ("/metrics", "/metrics?name[]=x"):
            status, headers, body = ask(served.address, path)
            assert (status, body) == (200, TEXT)
            assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert headers["Content-Length"] == str(len(TEXT))


def test_curl_gets_it():
    """A client that is not Python's."""
    with serving() as served:
        done = subprocess.run(
            ["curl", "-fsS", "-m", "10", f"http://{served.address}/metrics"], capture_output=True, check=True
        )
    assert done.stdout == TEXT


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/../metrics", "/-/reload", "/favicon.ico"])
def test_there_is_no_other_page(path):
    """Not found, and no word of the system or the versions that run."""
    with serving() as served:
        status, headers, body = ask(served.address, path)
    assert status == 404
    assert TEXT not in body
    assert headers["Server"] == "network_health"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "HEAD", "PATCH"])
def test_there_is_no_other_method(method):
    """Whatever is no GET is refused."""
    with serving() as served:
        status, _, body = ask(served.address, method=method)
    assert status == 501
    assert TEXT not in body


@pytest.mark.parametrize(
    "words",
    [
        b"\r\n\r\n",
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 70_000,
        b"\x16\x03\x01",
    ],
)
def test_nonsense_does_no_harm(words):
    """What is no request gets no figures, and the next client is served."""
    with serving() as served:
        with closing(connected(served.address)) as client:
            client.sendall(words)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := client.recv(65536):
                    answer += part
            except ConnectionError:  # closed with some of what was sent unread
                pass
        assert TEXT not in answer
        assert ask(served.address)[2] == TEXT


def test_clients_that_hang_are_in_nobodys_way(monkeypatch):
    """More of them than are taken at once: who asks properly is answered, the oldest has to go."""
    monkeypatch.setattr(endpoint, "_LONGEST_S", 600)
    with serving() as served:
        hung = [connected(served.address) for _ in range(endpoint._MOST_CLIENTS + 10)]
        try:
            assert ask(served.address)[2] == TEXT
            assert hung[0].recv(1) == b""
            assert hung[-1].fileno() >= 0
        finally:
            for client in hung:
                client.close()


def test_no_client_has_longer_than_it_may(monkeypatch):
    """One that says a letter now and then is ended all the same."""
    monkeypatch.setattr(endpoint, "_LONGEST_S", 0.3)
    with serving() as served, closing(connected(served.address)) as client:
        client.settimeout(0.05)
        ended = threading.Event()

        def drip():
            try:
                client.sendall(b"G")
                ended.set() if client.recv(1) == b"" else None
            except TimeoutError:
                pass
            except ConnectionError:
                ended.set()
            return ended.is_set()

        eventually(drip)


def test_a_client_that_does_not_read_is_ended(monkeypatch):
    """Its thread waits in writing, and no longer than it may."""
    monkeypatch.setattr(endpoint, "_LONGEST_S", 0.3)
    with serving(lambda: b"x" * 50_000_000) as served, closing(connected(served.address)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        eventually(lambda: not [t for t in threading.enumerate() if "process_request_thread" in t.name])


def test_a_closed_port_is_free_at_once():
    """Though clients were connected: it is listened on again right away, again and again."""
    address = f"127.0.0.1:{free_port()}"
    for _ in range(5):
        served = Endpoint(address, lambda: TEXT)
        hung = connected(address)
        assert ask(address)[2] == TEXT
        served.close()
        with pytest.raises(ConnectionRefusedError):
            connected(address)
        assert hung.recv(1) == b""
        hung.close()


def test_a_port_that_is_taken():
    """The system's error; whoever has it keeps it."""
    with serving() as served:
        with pytest.raises(OSError, match="in use"):
            Endpoint(served.address, lambda: b"")
        assert ask(served.address)[2] == TEXT


def test_an_address_that_is_not_this_hosts():
    """The system's error."""
    with pytest.raises(OSError, match="assign"):
        Endpoint("192.0.2.1:9101", lambda: TEXT)


@pytest.mark.root
def test_it_listens_on_the_one_address(namespace):
    """Loopback is not reached from elsewhere: nothing listens but on 127.0.0.1."""

    def inside():
        with closing(Endpoint("127.0.0.1:9101", lambda: TEXT)):
            return subprocess.run(["ss", "-Hltun"], capture_output=True, text=True, check=True).stdout

    (line,) = namespace().call(inside).splitlines()
    assert line.split()[4] == "127.0.0.1:9101"


def test_its_threads_are_daemons():
    """They end with the agent."""
    with serving() as served, closing(connected(served.address)):
        eventually(lambda: len([t for t in threading.enumerate() if t is not threading.main_thread()]) >= 2)
        assert all(t.daemon for t in threading.enumerate() if t is not threading.main_thread())


def test_without_a_thread_the_port_is_free(monkeypatch):
    """A system that has no thread left leaves no deaf port."""
    address = f"127.0.0.1:{free_port()}"

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError) as raised:
            Endpoint(address, lambda: TEXT)
    Endpoint(address, lambda: TEXT).close()
    del raised  # until here whatever the constructor left was alive
