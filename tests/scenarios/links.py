"""Situations with several links: which of them carried it. Each returns what the report must say."""

from tests.scenarios.expected import Expected, text_of
from tests.scenarios.network import HOST, REMOTES, SECOND_REMOTES
from tests.scenarios.rates import ACTS, VA, VC
from tests.scenarios.testbed import RATE_LIMITS, Route

BRIDGE = Route(("br0", "eth1"), "10.95.0.2")
VM = "10.95.0.100"
OPPOSITE = {"outbound": "inbound", "inbound": "outbound"}


def beside(testbed, rng, route, other, *, far=None, port=None, acts=ACTS):
    """One process uses a route while another one uses another route: each link names its own process."""
    culprit, neighbour = rng.sample(testbed.workers, 2)
    act, direction = rng.choice(acts)
    peer = testbed.connect_over(culprit, route, port or rng.randrange(1024, 20000), far)
    other_peer = testbed.connect_over(neighbour, other, rng.randrange(20000, 30000))
    testbed.first_check(RATE_LIMITS)
    testbed.move(culprit, act, rng.randrange(3, 8) * 1_000_000, route.links)
    testbed.move(neighbour, act, rng.randrange(10, 25) * 100_000, other.links)
    found = dict.fromkeys(other.links, (neighbour, other_peer)) | dict.fromkeys(route.links, (culprit, peer))
    both = {text_of(culprit), text_of(neighbour), peer, other_peer}
    return [Expected(f"{link} {direction}", by(*found[link], direction), both) for link in found]


def by(worker, peer, direction):
    """How a process and its peer are named first."""
    return ("by", text_of(worker), "to" if direction == "outbound" else "from", peer)


def bridge_uplink(testbed, rng):
    """The uplink of a bridge has no address at all: it names the process that uses the bridge."""
    for link in ("eth1", "tap1"):
        testbed.sysctl(f"ipv6/conf/{link}/disable_ipv6", "1", "0")
    return beside(testbed, rng, BRIDGE, rng.choice([VA, VC]))


def bridge_uplink_link_local(testbed, rng):
    """The uplink of a bridge has the link-local address that the kernel gives it."""
    return beside(testbed, rng, BRIDGE, rng.choice([VA, VC]))


def macvlan(testbed, rng):
    """What crosses a macvlan crosses the link below it as well."""
    return beside(testbed, rng, Route(("mv0", "va"), "10.96.0.2"), rng.choice([VA, VC]))


def vxlan(testbed, rng):
    """What crosses a vxlan crosses the link that its packets leave by."""
    return beside(testbed, rng, Route(("vx0", "va"), "10.97.0.2"), rng.choice([VA, VC]))


def service_address(testbed, rng):
    """An address on lo is used over a link: the link is blamed, not lo."""
    return beside(testbed, rng, Route(("va",), REMOTES[0], "10.99.0.1"), VC)


def one_address_on_two_links(testbed, rng):
    """Two links have the same address: the route decides by which one it goes out.

    The kernel does not tell by which one the answers come in: whose share of a link may have come over the
    other one need not be named.
    """
    over_va, over_vc = Route(("va",), REMOTES[0], "10.90.0.1"), Route(("vc",), SECOND_REMOTES[0], "10.90.0.1")
    expected = beside(testbed, rng, over_vc, over_va)
    for each in expected:
        if each.finding == "va inbound":
            each.first = ()
    return expected


def one_link_local_on_two_links(testbed, rng):
    """Two links have the same link-local address, and so have their peers: the scope decides."""
    routes = [Route((link,), f"fe80::78%{link}") for link in ("va", "vc")]
    return beside(testbed, rng, *rng.sample(routes, 2))


def policy_routing(testbed, rng):
    """A rule sends by source, mark, port or user over another link than the main table would."""
    kind, port = rng.choice(["source", "mark", "port", "user"]), rng.randrange(1024, 20000)
    words, options, uid = {
        "source": (("from", HOST), (), 0),
        "mark": (("fwmark", "7"), ((1, 36, 7),), 0),  # SO_MARK
        "port": (("ipproto", "tcp", "dport", str(port)), (), 0),
        "user": (("uidrange", "4242-4242"), (), 4242),
    }[kind]
    testbed.network.host.ip("rule", "add", *words, "lookup", "100")
    testbed.afterwards(testbed.network.host.ip, "rule", "del", *words, "lookup", "100")
    source = HOST if kind == "source" else rng.choice([HOST, None])
    over_vc = Route(("vc",), "10.92.0.1", source, options, uid)
    # What goes to an address of va comes in over va.
    acts = ACTS if source is None else ACTS[:1]
    over_va = Route(("va",), "10.92.0.1", "10.90.0.1" if kind == "source" else None)
    return beside(testbed, rng, over_vc, over_va, port=port, acts=acts)


def bound_device(testbed, rng):
    """A socket is bound to another link than the one that the route prefers."""
    over_vc = Route(("vc",), "10.92.0.1", options=((1, 25, b"vc"),))  # SO_BINDTODEVICE
    source = rng.choice([None, "10.91.0.1"])
    # What goes to an address of vc comes in over vc.
    acts = ACTS if source is None else ACTS[:1]
    return beside(testbed, rng, over_vc, Route(("va",), "10.92.0.1", source), acts=acts)


def container_peer(testbed, rng):
    """A process of the host talks to a container: the container's link names it."""
    return beside(testbed, rng, Route(("ct0",), "10.94.0.2"), rng.choice([VA, VC]), far=testbed.container)


def container_forwards(testbed, rng):
    """A container's own traffic is forwarded: no process of the host is blamed for it."""
    act, direction = rng.choice(ACTS)
    neighbour, port = rng.choice(testbed.workers), rng.randrange(1024, 20000)
    peer = testbed.connect_over(neighbour, VC, port)
    testbed.connect_over(testbed.container, VA, port + 1)
    testbed.first_check(RATE_LIMITS)
    octets = rng.randrange(3, 8) * 1_000_000
    testbed.move(testbed.container, act, octets, ())
    testbed.move(neighbour, act, octets // 2, ("vc",))
    return [
        Expected(f"va {direction}", ()),
        Expected(f"ct0 {OPPOSITE[direction]}", ()),
        Expected(f"vc {direction}", by(neighbour, peer, direction)),
    ]


def answers_over_another_link(testbed, rng):
    """What is sent over one link is answered over another one: no link has a wrong name."""
    culprit, neighbour = rng.sample(testbed.workers, 2)
    port = rng.randrange(1024, 20000)
    peers = {testbed.connect_over(culprit, Route(("vc",), "10.93.0.1"), port)}
    peers |= {testbed.connect_over(neighbour, VA, port + 1)}
    testbed.first_check(RATE_LIMITS)
    testbed.move(culprit, "receive", rng.randrange(3, 8) * 1_000_000, ("vc",))
    testbed.move(neighbour, "receive", rng.randrange(3, 8) * 100_000, ("va",))
    known = {text_of(culprit), text_of(neighbour), *peers}
    return [Expected("vc inbound", (), known), Expected("va inbound", (), known)]


def vm_alone(testbed, rng):
    """A bridge carries a VM's traffic only, while a process uses another link."""
    neighbour, port, route = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.choice([VA, VC])
    act, direction = rng.choice(ACTS)
    peer = testbed.connect_over(neighbour, route, port)
    testbed.first_check(RATE_LIMITS)
    use_vm(testbed, act, rng.randrange(1500, 3000), port)
    testbed.move(neighbour, act, rng.randrange(10, 40) * 100_000, route.links)
    own = Expected(f"{route.links[0]} {direction}", by(neighbour, peer, direction))
    return [Expected(f"eth1 {direction}", ()), Expected(f"tap1 {OPPOSITE[direction]}", ()), own]


def vm_beside_process(testbed, rng):
    """A VM and a process send or receive over one uplink: the process is blamed for its part."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    act, direction = rng.choice(ACTS)
    peer = testbed.connect_over(culprit, BRIDGE, port)
    testbed.first_check(RATE_LIMITS)
    use_vm(testbed, act, rng.randrange(1000, 2000), port)
    testbed.move(culprit, act, rng.randrange(15, 40) * 100_000, BRIDGE.links)
    named = [Expected(f"{link} {direction}", by(culprit, peer, direction)) for link in BRIDGE.links]
    return [*named, Expected(f"tap1 {OPPOSITE[direction]}", ())]


def vm_against_process(testbed, rng):
    """A VM receives while a process sends, or sends while it receives: which port was it?"""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    (act, direction), (opposite, _) = rng.sample(ACTS, 2)
    peer = testbed.connect_over(culprit, BRIDGE, port)
    testbed.first_check(RATE_LIMITS)
    use_vm(testbed, opposite, rng.randrange(1500, 3000), port)
    testbed.move(culprit, act, rng.randrange(8, 20) * 100_000, BRIDGE.links)
    # What the process moved may have crossed either port, as far as the kernel tells.
    either = [Expected(f"{link} {direction}", (), {text_of(culprit), peer}) for link in ("eth1", "tap1")]
    return [*either, Expected(f"br0 {direction}", by(culprit, peer, direction))]


def vm_talks_to_host(testbed, rng):
    """A VM and a process of its host talk over a bridge with an idle uplink: its port names the process."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    act, direction = rng.choice(ACTS)
    peer = testbed.connect_over(culprit, Route(("br0", "tap1"), VM), port, testbed.vm)
    testbed.first_check(RATE_LIMITS)
    testbed.move(culprit, act, rng.randrange(3, 8) * 1_000_000, ("br0", "tap1"))
    return [Expected(f"{link} {direction}", by(culprit, peer, direction)) for link in ("br0", "tap1")]


def use_vm(testbed, act, count, port):
    """The VM sends or receives datagrams over the bridge's uplink."""
    sender, target = (testbed.vm, BRIDGE.target) if act == "send" else (testbed.remote, VM)
    sender.run("send_datagrams", target, port, count)


SITUATIONS = (
    bridge_uplink,
    bridge_uplink_link_local,
    vm_alone,
    vm_beside_process,
    vm_against_process,
    vm_talks_to_host,
    macvlan,
    vxlan,
    service_address,
    one_address_on_two_links,
    one_link_local_on_two_links,
    policy_routing,
    bound_device,
    answers_over_another_link,
    container_peer,
    container_forwards,
)
