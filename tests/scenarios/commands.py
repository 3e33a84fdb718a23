"""What the workers can do: open sockets, move bytes, monitor."""

import ctypes
import os
import socket
import struct
import subprocess
import threading
import time

from network_health import Monitor, Settings
from tests import nftables
from tests.scenarios.packets import syn

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, so that no TIME_WAIT remains
TIMEOUT_S = 20
_NEW_MOUNTS = 0x00020000  # unshare(2)


class Commands:
    """The commands of a worker; its sockets stay open until ``reset``."""

    def __init__(self):
        self.servers, self.held, self.threads = [], [], []
        self.monitor = self.carried_before = None
        self.stopped = threading.Event()
        #: The bytes that each thread sent so far.
        self.sent = []

    def enter(self, namespace):
        """Move to a network namespace."""
        namespace.enter()

    def reset(self):
        """Close all sockets with a reset."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        for each in (*self.held, *self.servers):
            if each.type == socket.SOCK_STREAM:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            each.close()
        self.__init__()

    def write(self, path, text):
        """Write a file, for example a sysctl of the namespace."""
        with open(path, "w") as file:
            file.write(text)

    def listen(self, address, port, backlog, *options):
        """Listen; ``options`` are (level, name, value)."""
        self.servers.append(_server(socket.IPPROTO_TCP, address, port, backlog, options))

    def listen_mptcp(self, address, port, backlog):
        """Listen for connections with several subflows."""
        self.servers.append(_server(socket.IPPROTO_MPTCP, address, port, backlog, ()))

    def accept(self, count):
        """Accept connections of the last listener; returns the position of the last one in ``held``."""
        for _ in range(count):
            self.held.append(self.servers[-1].accept()[0])
        return len(self.held) - 1

    def connect(self, plan):
        """Open connections, one for each (source address or None, address, port, options...)."""
        for source, address, port, *options in plan:
            self.held.append(_connected(socket.IPPROTO_TCP, source, address, port, options))

    def connect_mptcp(self, address, port):
        """Open a connection that may have several subflows."""
        self.held.append(_connected(socket.IPPROTO_MPTCP, None, address, port, ()))

    def connect_as(self, uid, plan):
        """`connect` as another user."""
        os.seteuid(uid)
        try:
            self.connect(plan)
        finally:
            os.seteuid(0)

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

    def close_servers(self):
        """Close the listeners, but not their connections."""
        for each in self.servers:
            each.close()
        self.servers = []

    def send(self, octets, which=-1):
        """Send a number of bytes over one connection."""
        self.held[which].sendall(bytes(octets))

    def send_in_a_thread(self, octets, which=-1):
        """`send` by another thread than the main one."""
        thread = threading.Thread(target=self.send, args=(octets, which))
        thread.start()
        thread.join()

    def receive(self, octets, which=-1):
        """Read a number of bytes from one connection."""
        left = octets
        while left:
            got = len(self.held[which].recv(min(left, 1 << 20)))
            assert got, "the stream ended early"
            left -= got

    def keep_sending(self, which, octets, pause_s, times=1):
        """Send ``times`` over one socket in each pause, as far as its buffer allows, until ``reset``.

        Returns where `sent_by` has the number of bytes.
        """
        self.sent.append(0)
        self._start(_keep_sending, self.held[which], octets, pause_s, times, self.sent, len(self.sent) - 1)
        return len(self.sent) - 1

    def sent_by(self, which):
        """How many bytes one `keep_sending` sent so far."""
        return self.sent[which]

    def keep_discarding(self):
        """Read from all connections until ``reset``."""
        for connection in self.held:
            self._start(_keep_discarding, connection)

    def keep_sending_datagrams(self, address, port, count, pause_s):
        """Send bursts of datagrams until ``reset``."""
        self._start(_keep_sending_datagrams, address, port, count, pause_s)

    def keep_sending_syns(self, sources, address, port, pause_s):
        """Send one SYN from each source after the other until ``reset``."""
        self._start(_keep_sending_syns, sources, address, port, pause_s)

    def send_syns(self, sources, address, port):
        """Send one SYN from each source."""
        _send_syns(sources, address, port)

    def drop_every(self, nth, address):
        """Of the packets to an address drop each ``nth``, in this namespace; 0 ends it."""
        if nth:
            nftables.drop_every(nth, address)
        else:
            nftables.remove("loss")

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

    def close_first(self, times):
        """Accept short connections and close each before the client does: this end has TIME_WAIT."""
        for _ in range(times):
            self.servers[-1].accept()[0].close()

    def connect_until_closed(self, address, port, times):
        """The other end of `close_first`."""
        for _ in range(times):
            with socket.create_connection((address, port), TIMEOUT_S) as client:
                assert client.recv(1) == b""

    def bind_udp(self, count):
        """Open UDP sockets with ports of their own."""
        for _ in range(count):
            self.bind_udp_port("0.0.0.0", 0)

    def bind_udp_port(self, address, port, buffer=None):
        """Open a UDP socket, with a receive buffer of this size."""
        each = socket.socket(family_of(address), socket.SOCK_DGRAM)
        if buffer:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        each.bind((address, port))
        self.held.append(each)

    def connect_udp(self, address, port, count):
        """Open UDP sockets to one remote."""
        for _ in range(count):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.connect((address, port))
            self.held.append(each)

    def send_datagrams(self, address, port, count):
        """Send datagrams of 1,400 bytes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(count):
                sender.sendto(bytes(1400), (address, port))

    def carried(self):
        """The bytes that each link carried so far."""
        return carried()

    def start_monitor(self, settings):
        """Create a monitor and make a first check."""
        self.carried_before = carried()
        # Other namespaces stand for other hosts.
        self.monitor = Monitor(Settings.from_mapping({"namespaces": "off", **settings}))
        return self.monitor.check().as_content()

    def own_mounts(self):
        """From now on `hide` is possible."""
        if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["mount", "--make-rslave", "/"], check=True)

    def hide(self, places):
        """Show an empty folder, or no file, in these places; to this process only."""
        for place in places:
            what = ["-t", "tmpfs", "none"] if os.path.isdir(place) else ["--bind", "/dev/null"]
            subprocess.run(["mount", *what, place], check=True)

    def pass_a_second(self):
        """Let a second of the time between two checks pass, as the agent does."""
        time.sleep(1)
        self.monitor.sample()

    def check(self, after_s=0.0):
        """The next check, and the bytes that each link carried since the last one, or since the start."""
        time.sleep(after_s)
        content, now = self.monitor.check().as_content(), carried()
        before, self.carried_before = self.carried_before, now
        return content, {link: _difference(before.get(link, {}), now[link]) for link in now}

    def _start(self, target, *args):
        self.threads.append(threading.Thread(target=target, args=(self.stopped, *args), daemon=True))
        self.threads[-1].start()


def carried():
    """The bytes that each link of this namespace carried, by direction, from ``/proc/net/dev``."""
    with open("/proc/self/net/dev") as file:
        lines = file.read().splitlines()[2:]
    parts = [line.partition(":") for line in lines]
    return {
        name.strip(): {"inbound": int(words.split()[0]), "outbound": int(words.split()[8])}
        for name, _, words in parts
    }


def family_of(address):
    """The family of an address as text."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _difference(before, now):
    return {direction: now[direction] - before.get(direction, 0) for direction in now}


def _server(protocol, address, port, backlog, options):
    server = socket.socket(family_of(address), socket.SOCK_STREAM, protocol)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in options:
        server.setsockopt(*option)
    server.bind((address, port))
    server.listen(backlog)
    server.settimeout(TIMEOUT_S)
    return server


def _connected(protocol, source, address, port, options):
    client = socket.socket(family_of(address), socket.SOCK_STREAM, protocol)
    client.settimeout(TIMEOUT_S)
    for option in options:
        client.setsockopt(*option)
    if source:
        client.bind((source, 0))
    client.connect(socket.getaddrinfo(address, port)[0][4])
    return client


def _keep_sending(stopped, connection, octets, pause_s, times, sent, place):
    connection.settimeout(0.05)
    while not stopped.wait(pause_s):
        for _ in range(times):
            try:
                sent[place] += connection.send(bytes(octets))
            except TimeoutError:
                break
            except ConnectionError:  # at the end of a situation, which another process noticed first
                return


def _keep_discarding(stopped, connection):
    connection.settimeout(0.05)
    while not stopped.is_set():
        try:
            if not connection.recv(1 << 20):
                return
        except TimeoutError:
            continue
        except ConnectionError:
            return


def _keep_sending_datagrams(stopped, address, port, count, pause_s):
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sender:
        while not stopped.wait(pause_s):
            for _ in range(count):
                sender.sendto(bytes(1000), (address, port))


def _keep_sending_syns(stopped, sources, address, port, pause_s):
    while not stopped.is_set():
        for source in sources:
            _send_syns([source], address, port)
            if stopped.wait(pause_s):
                return


def _send_syns(sources, address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number, source in enumerate(sources):
            raw.sendto(syn(source, address, 10_000 + number % 50_000, port), (address, 0))
