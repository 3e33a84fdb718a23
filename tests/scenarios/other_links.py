"""Situations with links that not every kernel has. Each returns what the report must say.

`KINDS` has for each kind of link or queue its situations; `prepare` adds it to the network. A bond has the
ports bp0 and bp1; on the remote side both belong to a bridge.
"""

from dataclasses import dataclass, field

from tests.netns import Namespace
from tests.scenarios.expected import Expected, text_of
from tests.scenarios.links import beside
from tests.scenarios.losses import LOSS_LIMITS, wait_for_resent
from tests.scenarios.network import SECOND_REMOTES
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
_SIT = """
link add sit1 type sit local {local} remote {remote}
addr add {address}/64 dev sit1 nodad
link set sit1 up
"""


@dataclass(frozen=True)
class Kind:
    """Situations, and the commands of ``ip -batch`` that they need on the host and on the remote side."""

    situations: tuple
    host: str = ""
    remote: str = ""
    #: What a kernel without this kind refuses.
    probe: tuple[str, ...] = field(default=())

    def missing_reason(self):
        """Why the kernel cannot make this; empty if it can."""
        namespace = Namespace()
        try:
            namespace.tool(*self.probe)
        except AssertionError as error:
            return str(error).partition("Error: ")[2].strip()
        finally:
            namespace.close()
        return ""

    def prepare(self, network):
        """Add the links."""
        if self.host:
            network.batch(network.host, self.host.format(remote=network.remote.name))
        if self.remote:
            network.batch(network.remote, self.remote)


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
        _SIT.format(local="10.77.0.1", remote="10.77.0.2", address="fd78::1"),
        _SIT.format(local="10.77.0.2", remote="10.77.0.1", address="fd78::2"),
        ("ip", "link", "add", "x", "type", "sit", "remote", "10.0.0.2", "local", "10.0.0.1"),
    ),
    "netem": Kind((lossy_link,), probe=("tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "20%")),
}
