"""A host with containers for tests on the real kernel, and what their checks say."""

import contextlib
import re
import time

from network_health import Monitor, Settings
from tests import nftables
from tests.real_kernel.paced import clauses, named, started
from tests.real_kernel.test_interface_culprits_live import add

#: Shares are of bytes with headers, and the sending is not exactly steady. On a busy host the bytes of
#: sockets are those of a shorter time than the bytes of interfaces, so that the shares are lower.
HIGHER, LOWER = 12, 40


OUTSIDE = "10.8.0.2"


class Host:
    """A host with eth0 to ``outside``, and the bridge br0 with two containers, which it forwards for.

    Between eth0 and ``outside`` is a switch: no process is at the other end of eth0.
    """

    def __init__(self, namespace, nat=False):
        self.host, self.outside, self.one, self.two, switch = (namespace() for _ in range(5))
        add(switch, "name br0 type bridge")
        for end, name, address in ((self.host, "eth0", "10.8.0.1/24"), (self.outside, "p", f"{OUTSIDE}/24")):
            switch.ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", name, "netns", end.name)
            switch.ip("link", "set", f"to-{name}", "master", "br0", "up")
            end.ip("addr", "add", address, "dev", name)
            end.ip("link", "set", name, "up")
        add(self.host, "name br0 type bridge", address="10.9.0.1/24")
        for n, box in enumerate((self.one, self.two), 1):
            self.join(box, f"v{n}", f"10.9.0.{n + 1}/24")
        self.host.sysctl("net.ipv4.ip_forward", 1)
        if nat:
            self.host.call(nftables.masquerade, "10.9.0.0")
        else:
            self.outside.ip("route", "add", "default", "via", "10.8.0.1")

    def join(self, box, name, address):
        """Connect a container with the bridge."""
        self.host.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", box.name)
        self.host.ip("link", "set", name, "master", "br0", "up")
        box.ip("addr", "add", address, "dev", "eth0")
        box.ip("link", "set", "eth0", "up")
        box.ip("route", "add", "default", "via", "10.9.0.1")


@contextlib.contextmanager
def sending(box, *senders):
    """The senders run in a container, and are connected: the first packets over a new link may be lost."""
    with started(box, *(each.run for each in senders)):
        connected = [] if all(each.udp for each in senders) else senders
        while len(box.tool("ss", "-Htn", "state", "established").splitlines()) < len(connected):
            time.sleep(0.02)
        yield


def masked(clause):
    """The clause without numbers that differ from run to run."""
    return re.sub(r"\d+%", "N%", re.sub(r"\[\d+\]", "[PID]", clause))


def all_masked(content, direction):
    return {name: masked(clause) for name, clause in clauses(content, direction).items()}


def assert_named(content, expected, direction="outbound"):
    """Exactly these processes are named, with these shares, for each interface over its limit."""
    found = named(content, direction)
    assert {name: set(shares) for name, shares in found.items()} == {
        name: set(shares) for name, shares in expected.items()
    }, content["details"]
    for name, shares in expected.items():
        for process, share in shares.items():
            assert share - LOWER <= found[name][process] <= share + HIGHER, content["details"]


def first_lookup(prepare=lambda: None, **limits):
    """The content of the check that looks the culprits up."""
    prepare()
    settings = {"tx_threshold_mbps": 1, "rx_threshold_mbps": 1, "conn_threshold": 10**6, **limits}
    monitor = Monitor(Settings.from_mapping(settings))
    time.sleep(0.5)
    return monitor.check().as_content()
