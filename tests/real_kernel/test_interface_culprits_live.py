"""Which process is named for which interface, on hosts with several and with stacked interfaces.

Processes send at known rates. Each situation says who must be named for each interface, with what share; a
process that is not in the list must not be named with 10 % or more.
"""

import subprocess
import time

import pytest

from tests.netns import veth
from tests.real_kernel.paced import Sender, check, listening, named, started

pytestmark = pytest.mark.root

#: Shares are of bytes with headers, and the sending is not exactly steady.
SHARE = 12
FLAT = {"eth0": ("10.8.0.1/24", "10.8.0.2/24"), "eth1": ("10.7.0.1/24", "10.7.0.2/24")}


def assert_named(content, expected, direction="outbound"):
    """Exactly these processes are named, with these shares, for each interface over its limit."""
    found = named(content, direction)
    assert {name: set(shares) for name, shares in found.items()} == {
        name: set(shares) for name, shares in expected.items()
    }, content["details"]
    for name, shares in expected.items():
        assert found[name] == pytest.approx(shares, abs=SHARE), content["details"]


def coverage(content):
    """The share of bytes whose process is known."""
    return content["metrics"]["coverage_percent"]


def linked(namespace, addresses=FLAT):
    """A host and one other end for each link: each its own namespace."""
    host, ends = namespace(), []
    for name, both in addresses.items():
        ends.append(namespace())
        veth(host, ends[-1], (name, "p"), both)
    return host, ends


def add(host, line, address=""):
    """Add an interface that is up; the test is skipped if this kernel has no such kind."""
    words = line.split()
    kind = words[words.index("type") + 1]
    command = ("ip", "-n", host.name, "link", "add", *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "Unknown device type" in done.stderr:
        pytest.skip(f"this kernel has no interfaces of the kind {kind}")
    assert done.returncode == 0, done.stderr
    name = words[words.index("name") + 1]
    if address:
        host.ip("addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    host.ip("link", "set", name, "up")


def bridged(namespace, address_of_ports=True):
    """A host with the bridge br0: its ports are eth0, to the network, and tap1, to a virtual machine."""
    host, outside, machine = namespace(), namespace(), namespace()
    if not address_of_ports:
        host.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    add(host, "name br0 type bridge", address="10.9.0.1/24")
    for end, name, address in ((outside, "eth0", "10.9.0.2/24"), (machine, "tap1", "10.9.0.3/24")):
        host.ip("link", "add", name, "type", "veth", "peer", "name", "p", "netns", end.name)
        host.ip("link", "set", name, "master", "br0", "up")
        end.ip("addr", "add", address, "dev", "p")
        end.ip("link", "set", "p", "up")
    return host, outside, machine


@pytest.mark.parametrize("address_of_ports", [True, False])
def test_the_uplink_of_a_bridge(namespace, address_of_ports):
    """With and without link-local addresses a uplink has the process, also beside a machine's bytes."""
    host, outside, machine = bridged(namespace, address_of_ports)
    with listening(outside):
        backup = Sender("backup", "10.9.0.2", 20)
        alone = check(host, [backup])
        assert_named(alone, {"br0": {"backup": 100}, "eth0": {"backup": 100}})
        assert coverage(alone) > 85
        with started(machine, Sender("vm", "10.9.0.2", 20, udp=True).run):
            beside = check(host, [backup])
    assert_named(beside, {"br0": {"backup": 100}, "eth0": {"backup": 50}})
    assert_named(beside, {"tap1": {}}, "inbound")


def test_both_ports_of_a_bridge(namespace):
    """Each port has the process that sends to what is behind it, in both directions."""
    host, outside, machine = bridged(namespace)
    with listening(outside, machine):
        content = check(
            host,
            [
                Sender("backup", "10.9.0.2", 20),
                Sender("copy", "10.9.0.3", 20),
                Sender("fetch", "10.9.0.2", 20, receives=True),
            ],
        )
    assert_named(content, {"br0": {"backup": 50, "copy": 50}, "eth0": {"backup": 100}, "tap1": {"copy": 100}})
    assert_named(content, {"br0": {"fetch": 100}, "eth0": {"fetch": 100}}, "inbound")


def test_a_bridge_that_carries_only_a_machine(namespace):
    """A process that talks over another link is not named for the ports of a bridge."""
    host, (one,) = linked(namespace, {"eth0": FLAT["eth0"]})
    outside, machine = namespace(), namespace()
    add(host, "name br1 type bridge")
    for end, name, address in ((outside, "eth1", "10.9.0.2/24"), (machine, "tap1", "10.9.0.3/24")):
        host.ip("link", "add", name, "type", "veth", "peer", "name", "p", "netns", end.name)
        host.ip("link", "set", name, "master", "br1", "up")
        end.ip("addr", "add", address, "dev", "p")
        end.ip("link", "set", "p", "up")
    with listening(one), started(machine, Sender("vm", "10.9.0.2", 25, udp=True).run):
        content = check(host, [Sender("backup", "10.8.0.2", 20)])
    assert_named(content, {"eth0": {"backup": 100}, "eth1": {}})


def test_macvlans(namespace):
    """The lower interface has what a macvlan sent outside, not what it sent to a container's macvlan."""
    host, (outside,) = linked(namespace, {"eth0": ("10.8.0.1/24", "10.9.0.2/24")})
    container = namespace()
    for n, mode in enumerate(("vepa", "bridge")):
        add(host, f"link eth0 name mv{n} type macvlan mode {mode}", address=f"10.9.{n}.1/24")
    add(host, "link eth0 name mv2 type macvlan mode bridge")
    host.ip("link", "set", "mv2", "netns", container.name)
    container.ip("addr", "add", "10.9.1.3/24", "dev", "mv2")
    container.ip("link", "set", "mv2", "up")
    outside.ip("addr", "add", "10.9.1.2/24", "dev", "p")
    with listening(outside, container), started(container, Sender("box", "10.9.1.2", 20).run):
        content = check(
            host,
            [
                Sender("out", "10.9.0.2", 20),
                Sender("out-bridge", "10.9.1.2", 20),
                Sender("within", "10.9.1.3", 20),
            ],
        )
    assert_named(
        content,
        {"eth0": {"out": 33, "out-bridge": 33}, "mv0": {"out": 100}, "mv1": {"out-bridge": 50, "within": 50}},
    )


def test_vxlans(namespace):
    """What crosses a vxlan crosses the link to its remote address, or the link that it is bound to."""
    host, (one, two) = linked(namespace)
    for end, near, far in ((host, "eth1", "10.8.0.2"), (one, "", "10.8.0.1"), (two, "p", "")):
        last = 1 if end is host else 2
        if far:
            add(end, f"name vx0 type vxlan id 5 remote {far} dstport 4789", address=f"10.9.0.{last}/24")
        if near:
            group = f"name vx1 type vxlan id 6 group 239.1.1.1 dev {near} dstport 4790"
            add(end, group, address=f"10.9.1.{last}/24")
    with listening(one, two):
        content = check(
            host,
            [
                Sender("app", "10.9.0.2", 20),
                Sender("direct", "10.8.0.2", 20),
                Sender("group", "10.9.1.2", 20),
            ],
        )
    assert_named(
        content,
        {
            "eth0": {"app": 50, "direct": 50},
            "eth1": {"group": 100},
            "vx0": {"app": 100},
            "vx1": {"group": 100},
        },
    )
    assert coverage(content) > 85


def test_a_sit_tunnel(namespace):
    """What crosses a tunnel crosses the link to its remote address."""
    host, (one, two) = linked(namespace)
    for end, near, far in ((host, 1, 2), (one, 2, 1)):
        line = f"name sit1 type sit local 10.8.0.{near} remote 10.8.0.{far}"
        add(end, line, address=f"fd00::{near}/64")
    with listening(one, two):
        content = check(host, [Sender("app", "fd00::2", 20), Sender("other", "10.7.0.2", 20)])
    assert_named(content, {"eth0": {"app": 100}, "eth1": {"other": 100}, "sit1": {"app": 100}})
    assert coverage(content) > 80


@pytest.mark.parametrize("mode", ["active-backup", "balance-xor"])
def test_a_vlan_on_a_bond(namespace, mode):
    """What crosses a vlan crosses the bond below and the bond's port that carried it, counted once."""
    host, outside = namespace(), namespace()
    add(host, f"name bond0 type bond mode {mode} miimon 50")
    add(outside, "name br0 type bridge")
    for n in range(2):
        host.ip("link", "add", f"eth{n}", "type", "veth", "peer", "name", f"p{n}", "netns", outside.name)
        host.ip("link", "set", f"eth{n}", "master", "bond0")
        outside.ip("link", "set", f"p{n}", "master", "br0", "up")
    add(host, "link bond0 name vlan5 type vlan id 5", address="10.9.0.1/24")
    add(outside, "link br0 name vlan5 type vlan id 5", address="10.9.0.2/24")
    if mode != "active-backup":
        for n in range(2):  # so that no frame comes back to the bond
            outside.ip("link", "set", f"p{n}", "type", "bridge_slave", "isolated", "on")
    with listening(outside):
        content = check(host, [Sender("app", "10.9.0.2", 20)])
    ports = named(content).keys() - {"bond0", "vlan5"}
    assert len(ports) == 1, content["details"]
    (port,) = ports
    assert_named(content, {"vlan5": {"app": 100}, "bond0": {"app": 100}, port: {"app": 100}})
    assert coverage(content) > 85


@pytest.mark.parametrize("receives", [False, True])
def test_a_service_address_on_the_loopback_interface(namespace, receives):
    """The route decides, not the interface that has the address; loopback has neither of them."""
    host, (one, two) = linked(namespace)
    host.ip("addr", "add", "192.0.2.1/32", "dev", "lo")
    one.ip("route", "add", "192.0.2.1", "via", "10.8.0.1")
    service = Sender("service", "10.8.0.2", 20, source="192.0.2.1", receives=receives)
    with listening(one, two):
        content = check(host, [service, Sender("other", "10.7.0.2", 20)])
    if receives:
        assert_named(content, {"eth1": {"other": 100}})
        assert_named(content, {"eth0": {"service": 100}}, "inbound")
    else:
        assert_named(content, {"eth0": {"service": 100}, "eth1": {"other": 100}})


@pytest.mark.parametrize("receives", [False, True])
def test_two_links_with_one_local_address(namespace, receives):
    """Each link has the process whose peer is behind it: their bytes are those that the links carried."""
    host, (one, two) = linked(namespace, {"eth0": FLAT["eth0"], "eth1": ("10.8.0.1/32", "10.7.0.2/24")})
    host.ip("route", "add", "10.7.0.2", "dev", "eth1")
    two.ip("route", "add", "10.8.0.1", "dev", "p")
    senders = [
        Sender(name, peer, 20, receives=receives) for name, peer in (("one", "10.8.0.2"), ("two", "10.7.0.2"))
    ]
    with listening(one, two):
        content = check(host, senders)
    assert_named(content, {"eth0": {"one": 100}, "eth1": {"two": 100}}, "inbound" if receives else "outbound")


@pytest.mark.parametrize("receives", [False, True])
def test_equal_link_local_addresses(namespace, receives):
    """The same fe80 addresses on two links and at their other ends: the socket's own link decides."""
    host, ends = linked(namespace)
    for each, name in ((host, "eth0"), (host, "eth1"), (ends[0], "p"), (ends[1], "p")):
        each.ip("addr", "add", f"fe80::{1 if each is host else 2}/64", "dev", name, "nodad")
    senders = [
        Sender(name, f"fe80::2%eth{n}", 20, receives=receives) for n, name in enumerate(("one", "two"))
    ]
    with listening(*ends):
        content = check(host, senders)
    assert_named(content, {"eth0": {"one": 100}, "eth1": {"two": 100}}, "inbound" if receives else "outbound")


def test_policy_routing(namespace):
    """Rules by mark, user and source, and a bound socket: each process is named for the link that it used."""
    host, ends = linked(namespace)
    for n, end in enumerate(ends):
        end.ip("addr", "add", "203.0.113.1/32", "dev", "lo")
        end.ip("route", "add", "default", "via", f"10.{8 - n}.0.1")
        host.ip("route", "add", "203.0.113.1", "via", f"10.{8 - n}.0.2", "table", "main" if n == 0 else "7")
    for rule in ("fwmark 5", "uidrange 1234-1234", "from 10.7.0.1"):
        host.ip("rule", "add", *rule.split(), "lookup", "7")
    with listening(*ends):
        content = check(
            host,
            [
                Sender("main", "203.0.113.1", 20),
                Sender("bound", "203.0.113.1", 20, device="eth0"),
                Sender("marked", "203.0.113.1", 20, mark=5),
                Sender("user", "203.0.113.1", 20, uid=1234),
                Sender("source", "203.0.113.1", 20, source="10.7.0.1"),
            ],
        )
    assert_named(
        content, {"eth0": {"main": 50, "bound": 50}, "eth1": {"marked": 33, "user": 33, "source": 33}}
    )


def test_a_container(namespace):
    """A container's veth has the host's process that talks to it; the uplink not the container's bytes."""
    host, (outside, container) = linked(namespace, {"eth0": FLAT["eth0"], "veth1": FLAT["eth1"]})
    host.sysctl("net.ipv4.ip_forward", 1)
    container.ip("route", "add", "default", "via", "10.7.0.1")
    outside.ip("route", "add", "default", "via", "10.8.0.1")
    with listening(outside, container), started(container, Sender("box", "10.8.0.2", 20).run):
        content = check(host, [Sender("app", "10.7.0.2", 20), Sender("other", "10.8.0.2", 20)])
    assert_named(content, {"eth0": {"other": 50}, "veth1": {"app": 100}})
    assert_named(content, {"veth1": {}}, "inbound")


def test_answers_by_another_link(namespace):
    """What arrives by another link than the route says is unattributed, and the report says why."""
    host, outside = namespace(), namespace()
    for name, addresses in FLAT.items():
        veth(host, outside, (name, f"p-{name}"), addresses)
        for each in (host, outside):
            each.sysctl("net.ipv4.conf.all.rp_filter", 0)
    outside.ip("route", "add", "10.8.0.1/32", "via", "10.7.0.1", "dev", "p-eth1")
    with listening(outside), started(outside, Sender("noise", "10.8.0.1", 4, udp=True, device="p-eth0").run):
        content = check(host, [Sender("app", "10.8.0.2", 20, receives=True)])
    assert_named(content, {"eth0": {}, "eth1": {}}, "inbound")
    notes = {each["iface"]: each.get("note") for each in content["metrics"]["culprits"]["rx_rate"]}
    assert notes == {
        "eth0": "routes and counters of the interfaces disagree about part of the bytes",
        "eth1": None,
    }


def test_answers_of_a_neighbour_by_another_link_in_the_same_network(namespace):
    """They go to the address's own link, not to the one that the route prefers: that has only a noise."""
    host, outside = namespace(), namespace()
    for name, addresses in FLAT.items():
        veth(host, outside, (name, f"p-{name}"), addresses)
        for each in (host, outside):
            each.sysctl("net.ipv4.conf.all.rp_filter", 0)
    host.ip("addr", "add", "10.8.0.11/24", "dev", "eth1")
    outside.ip("route", "add", "10.8.0.11/32", "dev", "p-eth1", "src", "10.8.0.2")
    noise = Sender("noise", "10.8.0.1", 40, udp=True, device="p-eth0")
    with listening(outside), started(outside, noise.run):
        content = check(host, [Sender("app", "10.8.0.2", 20, source="10.8.0.11", receives=True)])
    assert_named(content, {"eth0": {}, "eth1": {}}, "inbound")


def test_answers_to_a_service_address_by_another_link(namespace):
    """Answers for an address on lo that arrive by another link are not the process's, also beside a noise."""
    host, outside = namespace(), namespace()
    for name, addresses in FLAT.items():
        veth(host, outside, (name, f"p-{name}"), addresses)
        for each in (host, outside):
            each.sysctl("net.ipv4.conf.all.rp_filter", 0)
    host.ip("addr", "add", "192.0.2.1/32", "dev", "lo")
    outside.ip("addr", "add", "203.0.113.1/32", "dev", "lo")
    host.ip("route", "add", "203.0.113.1", "via", "10.8.0.2")
    outside.ip("route", "add", "192.0.2.1", "via", "10.7.0.1")
    noise = Sender("noise", "10.8.0.1", 40, udp=True, device="p-eth0")
    with listening(outside), started(outside, noise.run):
        content = check(host, [Sender("app", "203.0.113.1", 20, source="192.0.2.1", receives=True)])
    assert_named(content, {"eth0": {}, "eth1": {}}, "inbound")
    notes = {each["iface"]: each.get("note") for each in content["metrics"]["culprits"]["rx_rate"]}
    assert notes == {
        "eth0": "not known by which of several interfaces part of the bytes came or went",
        "eth1": None,
    }


def test_excluded_interfaces_are_followed(namespace):
    """The ports of a bridge are known although they are excluded; its uplink has the process."""
    host, outside, machine = bridged(namespace)
    time.sleep(0.1)
    with listening(outside, machine):
        senders = [Sender("backup", "10.9.0.2", 20), Sender("copy", "10.9.0.3", 20)]
        content = check(host, senders, exclude_interfaces=["br*", "tap*"])
    assert_named(content, {"eth0": {"backup": 100}})
