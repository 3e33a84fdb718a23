"""Processes that send at a steady rate, and one that reads what they send, for tests of rates."""

import contextlib
import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass

from network_health import Monitor, Settings

PORT = 5000
_SLICE_S = 0.02
#: A forgotten process ends by itself.
_LIFE_S = 60


@dataclass(frozen=True)
class Sender:
    """A process ``name`` that sends ``mbps`` to ``peer``; ``device`` and ``mark`` are set on its socket."""

    name: str
    peer: str
    mbps: float
    source: str = ""
    device: str = ""
    mark: int = 0
    uid: int = 0
    udp: bool = False
    receives: bool = False

    def run(self):
        """Send until killed."""
        with open("/proc/self/comm", "w") as name:
            name.write(self.name)
        family = socket.AF_INET6 if ":" in self.peer else socket.AF_INET
        address = socket.getaddrinfo(self.peer, PORT + self.receives, family)[0][4]
        os.setuid(self.uid)
        end = socket.socket(family, socket.SOCK_DGRAM if self.udp else socket.SOCK_STREAM)
        if self.device:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode())
        if self.mark:
            end.setsockopt(socket.SOL_SOCKET, 36, self.mark)  # SO_MARK
        if self.source:
            end.bind((self.source, 0))
        end.connect(address)
        if self.receives:
            end.sendall(int(self.mbps * 1000).to_bytes(8, "big"))
            while end.recv(1 << 16):
                pass
        pace(end, self.mbps, 1200 if self.udp else 1 << 16)


def pace(end, mbps, largest):
    """Send at this rate, for ever."""
    while True:
        left = int(mbps * 1e6 / 8 * _SLICE_S)
        while left > 0:
            with contextlib.suppress(ConnectionRefusedError):  # a datagram that nobody reads
                end.send(bytes(min(left, largest)))
            left -= largest
        time.sleep(_SLICE_S)


def read_all():
    """Accept connections and read them, for ever; with the next port send as fast as the peer wants."""
    selector = selectors.DefaultSelector()
    for port in (PORT, PORT + 1):
        server = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        selector.register(server, selectors.EVENT_READ, port)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                if not key.fileobj.recv(1 << 20):
                    selector.unregister(key.fileobj)
                continue
            end = key.fileobj.accept()[0]
            if key.data == PORT:
                selector.register(end, selectors.EVENT_READ)
            elif os.fork() == 0:
                pace(end, int.from_bytes(end.recv(8), "big") / 1000, 1 << 16)


@contextlib.contextmanager
def started(namespace, *works):
    """Functions that run in processes of their own in a namespace, until the end."""
    children = []
    try:
        for work in works:
            child = os.fork()
            if child == 0:
                try:
                    os.setpgid(0, 0)
                    signal.alarm(_LIFE_S)
                    namespace.enter()
                    work()
                finally:
                    os._exit(1)
            children.append(child)
        yield
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)


def listening(*namespaces):
    """`read_all` in each of the namespaces; entered at once."""
    stack = contextlib.ExitStack()
    for namespace in namespaces:
        stack.enter_context(started(namespace, read_all))
    for namespace in namespaces:
        while f":{PORT + 1} " not in namespace.tool("ss", "-Hltn"):
            time.sleep(0.02)
    return stack


def lookups(rates):
    """After each check how often a finding with these rates was looked up: again if it changed by a fifth."""
    numbers, at_lookup = [], 0
    for rate in rates:
        is_due = abs(rate - at_lookup) >= 0.2 * at_lookup
        at_lookup = rate if is_due else at_lookup
        numbers.append((numbers or [0])[-1] + is_due)
    return numbers


def check(namespace, senders, **settings):
    """The content of the second check in a namespace, while the senders send there.

    If it has no alert, of one after it: on a busy host a connection takes its time.
    Other namespaces stand for other hosts, unless ``namespaces`` is "auto".
    """

    def watch():
        monitor = Monitor(
            Settings.from_mapping(
                {
                    "tx_threshold_mbps": 1,
                    "rx_threshold_mbps": 1,
                    "conn_threshold": 10**6,
                    "namespaces": "off",
                    **settings,
                }
            )
        )
        time.sleep(0.2)  # connections are open, and their first bytes are acknowledged
        monitor.check()
        deadline_s = time.monotonic() + 10
        while True:
            time.sleep(0.5)
            report = monitor.check()
            if report.alerts or time.monotonic() > deadline_s:
                return report.as_content()

    with started(namespace, *(sender.run for sender in senders)):
        return namespace.call(watch)


def clauses(content, direction="outbound"):
    """What a sentence has in parentheses, by interface, of one direction: ``{"eth0": "99% by app to …"}``."""
    found = {}
    for sentence in content["details"].split("; "):
        words = sentence.split(" ")
        if len(words) > 2 and words[1] == direction:
            found[words[0]] = sentence.partition(" (")[2].rstrip(")")
    return found


def named(content, direction="outbound"):
    """The names and shares of the processes that are named for each interface."""
    kind = "tx_rate" if direction == "outbound" else "rx_rate"
    found = {name: {} for name in clauses(content, direction)}
    for each in content["metrics"].get("culprits", {}).get(kind, []):
        entries = [e for e in each["processes"] if e.get("name") and e["percent"] >= 10]
        found[each["iface"]] = {e["name"]: e["percent"] for e in entries}
    return found
