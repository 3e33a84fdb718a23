"""Worker processes that run commands of a test, each with its own sockets and network namespace."""

import ctypes
import multiprocessing
import os
import signal
import socket
import struct
import time
import traceback

from network_health import Monitor, Settings

PR_SET_NAME = 15
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, so that no TIME_WAIT remains
TIMEOUT_S = 20


class Worker:
    """A process with a name; ``run`` runs one of `Commands` in it and returns the result."""

    def __init__(self, name):
        self.name = name
        self._pipe, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()

    def run(self, command, *args):
        """Run a command and wait for its result."""
        self.start(command, *args)
        return self.result()

    def start(self, command, *args):
        """Start a command; `result` waits for it."""
        self._pipe.send((command, args))

    def result(self):
        """Wait for the result of the last started command."""
        assert self._pipe.poll(TIMEOUT_S), f"{self.name} does not answer"
        answer, error = self._pipe.recv()
        assert error is None, f"{self.name}: {error}"
        return answer

    def end(self):
        """Kill the process."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._pipe.close()


class Commands:
    """The commands of a worker; its sockets stay open until ``reset``."""

    def __init__(self):
        self.servers = []
        self.held = []
        self.monitor = None

    def enter(self, namespace):
        namespace.enter()

    def reset(self):
        """Close all sockets with a reset."""
        for each in (*self.held, *self.servers):
            if each.type == socket.SOCK_STREAM:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            each.close()
        self.held, self.servers, self.monitor = [], [], None

    def listen(self, address, port, backlog):
        server = socket.create_server((address, port), family=family_of(address), backlog=backlog)
        server.settimeout(TIMEOUT_S)
        self.servers.append(server)

    def accept(self, count):
        for _ in range(count):
            self.held.append(self.servers[-1].accept()[0])

    def connect(self, plan):
        """Open connections, one for each (source address or None, address, port)."""
        for source, address, port in plan:
            client = socket.create_connection(
                (address, port), TIMEOUT_S, source_address=(source, 0) if source else None
            )
            self.held.append(client)

    def start_connecting(self, address, port, count):
        """Start connections without waiting for them."""
        for _ in range(count):
            client = socket.socket(family_of(address), socket.SOCK_STREAM)
            client.setblocking(False)
            client.connect_ex((address, port))
            self.held.append(client)

    def close(self, first, count):
        """Close some connections orderly, so that the other end sees the end of the stream."""
        for each in self.held[first : first + count]:
            each.close()
        del self.held[first : first + count]

    def send(self, octets, which=-1):
        """Send a number of bytes over one connection."""
        self.held[which].sendall(bytes(octets))

    def receive(self, octets, which=-1):
        """Read a number of bytes from one connection."""
        left = octets
        while left:
            got = len(self.held[which].recv(min(left, 1 << 20)))
            assert got, "the stream ended early"
            left -= got

    def send_briefly(self, address, port, times, octets):
        """Make short connections, one after the other: connect, send, wait for the end, close."""
        for _ in range(times):
            with socket.create_connection((address, port), TIMEOUT_S) as client:
                client.sendall(bytes(octets))
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""

    def receive_briefly(self, times):
        """The other end of `send_briefly`: read until the end, close."""
        for _ in range(times):
            connection = self.servers[-1].accept()[0]
            with connection:
                while connection.recv(1 << 20):
                    pass

    def bind_udp(self, count):
        for _ in range(count):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.bind(("0.0.0.0", 0))
            self.held.append(each)

    def connect_udp(self, address, port, count):
        for _ in range(count):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.connect((address, port))
            self.held.append(each)

    def send_datagrams(self, address, port, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(count):
                sender.sendto(bytes(1400), (address, port))

    def start_monitor(self, settings):
        """Create a monitor and make a first check."""
        self.monitor = Monitor(Settings.from_mapping(settings))
        return self.monitor.check().as_content()

    def check(self, after_s=0.0):
        time.sleep(after_s)
        return self.monitor.check().as_content()


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _serve(pipe):
    commands = Commands()
    while True:
        command, args = pipe.recv()
        try:
            pipe.send((getattr(commands, command)(*args), None))
        except Exception:  # noqa: BLE001 - the parent raises it
            pipe.send((None, traceback.format_exc()))
