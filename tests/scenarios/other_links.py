"""Situations with links that not every kernel has. Each returns what the report must say.

`KINDS` has for each kind of link or queue its situations; `prepare` adds it to the network. A bond has the
ports bp0 and bp1; on the remote side both belong to a bridge.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.netns import Namespace
from tests.scenarios.expected import Expected, text_of
from tests.scenarios.links import beside, by
from tests.scenarios.losses import LOSS_LIMITS, wait_for_resent
from tests.scenarios.network import HOST, REMOTES, SECOND_REMOTES, Network
from tests.scenarios.rates import ACTS, VA, VC
from tests.scenarios.testbed import RATE_LIMITS, Route

_REMOTE_BRIDGE = """
link add rbr type bridge
link set rp0 master rbr
link set rp1 master rbr
link set rp0 up
link set rp1 up
addr add 10.88.0.2/24 dev rbr
link set rbr up
"""
_ON_BOND = """
link add bp0 type veth peer name rp0 netns {remote}
link add bp1 type veth peer name rp1 netns {remote}
link add bond0 type bond mode {mode}
link set bp0 master bond0
link set bp1 master bond0
link set bp0 up
link set bp1 up
addr add 10.88.0.1/24 dev bond0
link set bond0 up
"""
_VLAN = """
link add link {below} name {below}.5 type vlan id 5
addr add {address}/24 dev {below}.5
link set {below}.5 up
"""
_TUNNEL = """
link add {kind}1 type {kind} local {local} remote {remote}
addr add {address} dev {kind}1
link set {kind}1 up
"""
_VRF = """
link add vrf0 type vrf table 300
link set vrf0 up
link add vr0 type veth peer name rr0 netns {remote}
link set vr0 master vrf0
addr add 10.84.0.1/24 dev vr0
link set vr0 up
"""
_REMOTE_VRF = """
addr add 10.84.0.2/24 dev rr0
link set rr0 up
"""
_IPVLAN = """
link add link vc name iv0 type ipvlan mode l2
addr add 10.85.0.1/24 dev iv0
link set iv0 up
"""
_DUMMY = """
link add dm0 type dummy
addr add 10.83.0.1/32 dev dm0
link set dm0 up
"""
_WIREGUARD = """
link add wg0 type wireguard
addr add {address}/24 dev wg0
link set wg0 up
"""
_WIREGUARD_PORT = 51820


@dataclass(frozen=True)
class Kind:
    """Situations, and the commands of ``ip -batch`` that they need on the host and on the remote side."""

    situations: tuple
    host: str = ""
    remote: str = ""
    #: What a kernel without this kind refuses.
    probe: tuple[str, ...] = field(default=())
    #: What other tools than ``ip`` do with the network.
    finish: Callable[[Network], None] = field(default=lambda network: None)

    def missing_reason(self):
        """Why the kernel cannot make this; empty if it can."""
        namespace = Namespace()
        try:
            namespace.tool(*self.probe)
        except AssertionError as error:
            return str(error).partition(": ")[2].strip()
        finally:
            namespace.close()
        return ""

    def prepare(self, network):
        """Add the links."""
        if self.host:
            network.batch(network.host, self.host.format(remote=network.remote.name))
        if self.remote:
            network.batch(network.remote, self.remote)
        self.finish(network)


def bond_with_one_active_port(testbed, rng):
    """What crosses a bond crosses its active port."""
    return beside(testbed, rng, Route(("bond0", "bp0"), "10.88.0.2"), rng.choice([VA, VC]))


def bond_with_two_active_ports(testbed, rng):
    """What crosses a bond crosses one of its ports; no report says which one."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    act, direction = rng.choice(ACTS)
    peer = testbed.connect_over(culprit, Route(("bond0",), "10.88.0.2"), port)
    testbed.first_check(RATE_LIMITS)
    # As an upper bound each port carries all of it.
    testbed.move(culprit, act, rng.randrange(3, 8) * 1_000_000, ("bond0", "bp0", "bp1"))
    return [Expected(f"bond0 {direction}", ("by", text_of(culprit)), {peer})]


def vlan_on_bond(testbed, rng):
    """What crosses a VLAN on a bond crosses the bond and its active port."""
    links = ("bond0.5", "bond0", "bp0")
    return beside(testbed, rng, Route(links, "10.89.0.2"), rng.choice([VA, VC]))


def sit_tunnel(testbed, rng):
    """What crosses a tunnel crosses the link that leads to its other end."""
    return beside(testbed, rng, Route(("sit1", "va"), "fd78::2"), rng.choice([VA, VC]))


def gre_tunnel(testbed, rng):
    """The same with GRE."""
    return beside(testbed, rng, Route(("gre1", "va"), "10.86.0.2"), rng.choice([VA, VC]))


def vrf(testbed, rng):
    """What a process bound to a VRF receives crosses the VRF and its port; what it sends the port alone."""
    act = rng.choice(ACTS)
    links = ("vr0",) if act[0] == "send" else ("vrf0", "vr0")
    route = Route(links, "10.84.0.2", options=((1, 25, b"vrf0"),))  # SO_BINDTODEVICE
    return beside(testbed, rng, route, rng.choice([VA, VC]), acts=[act])


def ipvlan(testbed, rng):
    """What crosses an ipvlan crosses the link below it as well."""
    return beside(testbed, rng, Route(("iv0", "vc"), "10.85.0.2"), rng.choice([VA, VC]))


def service_address_on_a_dummy(testbed, rng):
    """An address on a dummy interface is used over a link: the link is blamed, not the dummy."""
    return beside(testbed, rng, Route(("va",), REMOTES[0], "10.83.0.1"), VC)


def wireguard(testbed, rng):
    """The interface names the process; the link below it carries datagrams, which have no process."""
    culprit, neighbour = rng.sample(testbed.workers, 2)
    act, direction = rng.choice(ACTS)
    port = rng.randrange(1024, 20000)
    peer = testbed.connect_over(culprit, Route(("wg0",), "10.82.0.2"), port)
    other_peer = testbed.connect_over(neighbour, VC, port + 1)
    testbed.first_check(RATE_LIMITS)
    testbed.move(culprit, act, rng.randrange(3, 8) * 1_000_000, ("wg0", "va"))
    testbed.move(neighbour, act, rng.randrange(10, 25) * 100_000, ("vc",))
    both = {text_of(culprit), text_of(neighbour), peer, other_peer}
    return [
        Expected(f"wg0 {direction}", by(culprit, peer, direction), both),
        Expected(f"va {direction}", (), both),
        Expected(f"vc {direction}", by(neighbour, other_peer, direction), both),
    ]


def lossy_link(testbed, rng):
    """One link loses a fifth of the packets: the peers behind it are sent segments again."""
    culprit, *senders = rng.sample(testbed.workers, 4)
    port = rng.randrange(1024, 30000)
    testbed.network.host.tool("tc", "qdisc", "add", "dev", "vc", "root", "netem", "loss", "20%")
    testbed.afterwards(testbed.network.host.tool, "tc", "qdisc", "del", "dev", "vc", "root")
    peer = testbed.connect_over(culprit, VC, port)
    for number, worker in enumerate(senders, 1):
        testbed.connect_over(worker, VA, port + number)
    testbed.remote.run("keep_discarding")
    for worker in (culprit, *senders):
        worker.run("keep_sending", 0, 20_000, 0.01)
    testbed.first_check(LOSS_LIMITS | {"retransmit_threshold_percent": 0.01})
    wait_for_resent(testbed, SECOND_REMOTES[0])
    first = ("to", peer, "by", text_of(culprit))
    return [Expected("TCP retransmits", first, {SECOND_REMOTES[0]})]


def _introduce(network):
    """Give both sides a key, and tell each about the other."""
    ends = (network.host, HOST, "10.82.0.1"), (network.remote, REMOTES[0], "10.82.0.2")
    keys = []
    for namespace, *_ in ends:
        make = f"wg set wg0 listen-port {_WIREGUARD_PORT} private-key /dev/stdin"
        namespace.tool("sh", "-c", f"wg genkey | {make}")
        keys.append(namespace.tool("wg", "show", "wg0", "public-key").strip())
    for (namespace, *_), (_, outer, inner), key in zip(ends, reversed(ends), reversed(keys), strict=True):
        endpoint = f"{outer}:{_WIREGUARD_PORT}"
        words = ("peer", key, "endpoint", endpoint, "allowed-ips", f"{inner}/32")
        namespace.tool("wg", "set", "wg0", *words)


_BOND = _ON_BOND.replace("{mode}", "active-backup miimon 100 primary bp0")
KINDS = {
    "bond": Kind(
        (bond_with_one_active_port,), _BOND, _REMOTE_BRIDGE, ("ip", "link", "add", "x", "type", "bond")
    ),
    "bond-of-two": Kind(
        (bond_with_two_active_ports,),
        _ON_BOND.replace("{mode}", "balance-rr miimon 100"),
        _REMOTE_BRIDGE,
        ("ip", "link", "add", "x", "type", "bond"),
    ),
    "vlan": Kind(
        (vlan_on_bond,),
        _BOND + _VLAN.format(below="bond0", address="10.89.0.1"),
        _REMOTE_BRIDGE + _VLAN.format(below="rbr", address="10.89.0.2"),
        ("sh", "-c", "ip link add x type bond && ip link add link x name x.5 type vlan id 5"),
    ),
    "sit": Kind(
        (sit_tunnel,),
        _TUNNEL.format(kind="sit", local=HOST, remote=REMOTES[0], address="fd78::1/64 nodad"),
        _TUNNEL.format(kind="sit", local=REMOTES[0], remote=HOST, address="fd78::2/64 nodad"),
        ("ip", "link", "add", "x", "type", "sit", "remote", "10.0.0.2", "local", "10.0.0.1"),
    ),
    "gre": Kind(
        (gre_tunnel,),
        _TUNNEL.format(kind="gre", local=HOST, remote=REMOTES[0], address="10.86.0.1/24"),
        _TUNNEL.format(kind="gre", local=REMOTES[0], remote=HOST, address="10.86.0.2/24"),
        ("ip", "link", "add", "x", "type", "gre", "remote", "10.0.0.2", "local", "10.0.0.1"),
    ),
    "vrf": Kind((vrf,), _VRF, _REMOTE_VRF, ("ip", "link", "add", "x", "type", "vrf", "table", "9")),
    "ipvlan": Kind(
        (ipvlan,),
        _IPVLAN,
        "addr add 10.85.0.2/24 dev vd",
        ("sh", "-c", "ip link add p type veth && ip link add link p name x type ipvlan"),
    ),
    "dummy": Kind(
        (service_address_on_a_dummy,),
        _DUMMY,
        f"route add 10.83.0.1 via {HOST}",
        ("ip", "link", "add", "x", "type", "dummy"),
    ),
    "wireguard": Kind(
        (wireguard,),
        _WIREGUARD.format(address="10.82.0.1"),
        _WIREGUARD.format(address="10.82.0.2"),
        ("sh", "-c", "ip link add x type wireguard && wg show x"),
        _introduce,
    ),
    "netem": Kind((lossy_link,), probe=("tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "20%")),
}
