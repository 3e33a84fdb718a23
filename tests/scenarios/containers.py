"""Situations with containers. Each returns what the report must say."""

from tests import nftables
from tests.scenarios.expected import Expected, text_of
from tests.scenarios.links import OPPOSITE, by
from tests.scenarios.network import HOST, REMOTES
from tests.scenarios.rates import ACTS, VA, VC
from tests.scenarios.testbed import RATE_LIMITS, Route

#: Other namespaces and calls are sampled for a second: the flows go on meanwhile.
FLOW_S = 0.3
#: Bytes that a flow sends in 5 ms: at most 64 Mbps together.
LOUD, QUIET = (15_000, 30_000), (2_000, 4_000)
CONNECTION_LIMITS = RATE_LIMITS | {"container_conn_threshold": 1000}


def of_container(container, direction, peer):
    """The link of a container names its process and peer; ``direction`` is that of the container."""
    word = "to" if direction == "outbound" else "from"
    finding = f"{container.link} {OPPOSITE[direction]}"
    return Expected(finding, (*container.words, word, peer), set(container.label.split()))


def flow_to_remote(testbed, rng, container, act, octets):
    """A container's process sends to the remote side or receives from it; returns its peer."""
    address = rng.choice(REMOTES)
    peer = testbed.connect_over(container.worker, Route((), address), rng.randrange(1024, 30000))
    testbed.flow(container.worker, act, rng.randrange(*octets), VA.links, links_of(testbed, container))
    return peer


def check_flows(testbed, settings=RATE_LIMITS):
    """The check whose rates are those of the flows."""
    testbed.first_check(settings)
    testbed.wait(FLOW_S)


def on_every_link(testbed, container, direction, peer):
    """The uplink and the links of the host to a container name its process; ``direction`` is its own."""
    word = "to" if direction == "outbound" else "from"
    first, label = (*container.words, word, peer), set(container.label.split())
    findings = [f"{link} {OPPOSITE[direction]}" for link in links_of(testbed, container)]
    return [Expected(finding, first, label) for finding in (*findings, f"va {direction}")]


def one_container(testbed, rng):
    """A container sends or receives: its link, its bridge and the uplink name the process."""
    act, direction = rng.choice(ACTS)
    container = rng.choice(testbed.containers)
    peer = flow_to_remote(testbed, rng, container, act, LOUD)
    check_flows(testbed)
    return on_every_link(testbed, container, direction, peer)


def one_loud_container(testbed, rng):
    """One of two containers sends, or receives, about seven times as much: the uplink names it."""
    act, direction = rng.choice(ACTS)
    loud, quiet = rng.sample(testbed.containers, 2)
    peer = flow_to_remote(testbed, rng, loud, act, LOUD)
    other_peer = flow_to_remote(testbed, rng, quiet, act, QUIET)
    check_flows(testbed)
    expected = on_every_link(testbed, loud, direction, peer)
    for each in expected:
        each.involved |= {other_peer, text_of(quiet.worker), *quiet.label.split()}
    return [*expected, of_container(quiet, direction, other_peer)]


def container_beside_host(testbed, rng):
    """A container and a process of the host use one uplink: the one that moves more is named first."""
    act, direction = rng.choice(ACTS)
    container, worker = rng.choice(testbed.containers), rng.choice(testbed.workers)
    amounts = [(20_000, 25_000), (8_000, 10_000)]
    rng.shuffle(amounts)
    peer = flow_to_remote(testbed, rng, container, act, amounts[0])
    own = testbed.connect_over(worker, VA, rng.randrange(30000, 31000))
    testbed.flow(worker, act, rng.randrange(*amounts[1]), VA.links)
    check_flows(testbed)
    *expected, uplink = on_every_link(testbed, container, direction, peer)
    uplink.involved |= {peer, own, text_of(worker), text_of(container.worker)}
    if amounts[1] > amounts[0]:
        uplink.first = by(worker, own, direction)
    return [*expected, uplink]


def container_against_host(testbed, rng):
    """A container and a process of the host use one uplink in opposite directions."""
    (act, direction), (other_act, other_direction) = rng.sample(ACTS, 2)
    container, worker = rng.choice(testbed.containers), rng.choice(testbed.workers)
    peer = flow_to_remote(testbed, rng, container, act, LOUD)
    own = testbed.connect_over(worker, VA, rng.randrange(30000, 31000))
    testbed.flow(worker, other_act, rng.randrange(*LOUD), VA.links)
    check_flows(testbed)
    uplink = Expected(f"va {other_direction}", by(worker, own, other_direction))
    return [*on_every_link(testbed, container, direction, peer), uplink]


def container_to_container(testbed, rng):
    """Two containers of one bridge talk: their links name both processes, no other link names them."""
    one, two = rng.sample([testbed.web, testbed.db], 2)
    neighbour, port = rng.choice(testbed.workers), rng.randrange(1024, 20000)
    peer = testbed.connect_over(one.worker, Route((), two.address), port, two.worker)
    testbed.flow(one.worker, "send", rng.randrange(*LOUD), (), (one.link,))
    testbed.mirror(two.worker, "receive", (), (two.link,))
    route = rng.choice([VA, VC])
    own = testbed.connect_over(neighbour, route, port + 1)
    testbed.flow(neighbour, "send", rng.randrange(*QUIET), route.links)
    check_flows(testbed)
    received = Expected(f"{two.link} outbound", (*two.words, "from", one.address), set(two.label.split()))
    return [
        of_container(one, "outbound", peer),
        received,
        Expected(f"{route.links[0]} outbound", by(neighbour, own, "outbound")),
    ]


def container_and_host(testbed, rng):
    """A container and a process of its host talk over the bridge: its link names the process of the host."""
    container, port = rng.choice([testbed.web, testbed.db]), rng.randrange(1024, 20000)
    act, direction = rng.choice(ACTS)
    worker = rng.choice(testbed.workers)
    peer = testbed.connect_over(worker, Route((), container.address), port, container.worker)
    testbed.flow(worker, act, rng.randrange(*LOUD), (container.link, "cb0"))
    check_flows(testbed)
    return [Expected(f"{link} {direction}", by(worker, peer, direction)) for link in (container.link, "cb0")]


def many_connections(testbed, rng):
    """A container has 1,500 to 2,500 connections, another one has a few: one is named, with its port."""
    busy, other = testbed.inside, rng.choice([testbed.web, testbed.db])
    port, count = rng.randrange(1024, 20000), rng.randrange(1500, 2500)
    busy.worker.run("listen", "0.0.0.0", port, 256)
    testbed.remote.start("connect", [(None, busy.address, port)] * count)
    busy.worker.run("accept", count)
    testbed.remote.result()
    testbed.remote.run("listen", "0.0.0.0", port + 1, 64)
    testbed.connect_to_remote(other.worker, [(None, REMOTES[0], port + 1)] * rng.randrange(50, 150))
    testbed.first_check(CONNECTION_LIMITS)
    first = ("on", f":{port}", "owned", "by", text_of(busy.worker))
    return [Expected(f"High connection count in {busy.label}", first, {REMOTES[0], *busy.label.split()})]


def macvlan_container(testbed, rng):
    """A container has a macvlan on the uplink, and no link of the host leads to it."""
    act, direction = rng.choice(ACTS)
    container, neighbour = testbed.direct, rng.choice(testbed.workers)
    address = rng.choice(REMOTES)
    peer = testbed.connect_over(container.worker, Route((), address), rng.randrange(1024, 30000))
    testbed.flow(container.worker, act, rng.randrange(*LOUD), VA.links)
    own = testbed.connect_over(neighbour, VC, rng.randrange(30000, 31000))
    testbed.flow(neighbour, act, rng.randrange(*QUIET), VC.links)
    check_flows(testbed)
    word = "to" if direction == "outbound" else "from"
    return [
        Expected(f"va {direction}", (*container.words, word, peer), set(container.label.split())),
        Expected(f"vc {direction}", by(neighbour, own, direction)),
    ]


def published_port(testbed, rng):
    """Another host uses a port of the host that leads to a container."""
    container = rng.choice([testbed.web, testbed.db])
    (act, direction), port = rng.choice(ACTS), rng.randrange(1024, 30000)
    host = testbed.network.host
    host.call(nftables.publish, HOST, port, container.address, 8080)
    testbed.afterwards(host.call, nftables.remove, "publish")
    container.worker.run("listen", "0.0.0.0", 8080, 64)
    testbed.accept_from_remote(container.worker, HOST, port)
    testbed.flow(container.worker, act, rng.randrange(*LOUD), VA.links, links_of(testbed, container))
    check_flows(testbed)
    return on_every_link(testbed, container, direction, REMOTES[0])


def links_of(testbed, container):
    """The links of the host that what a container sends to other hosts comes in by."""
    return (container.link,) if container is testbed.inside else (container.link, "cb0")


SITUATIONS = (
    one_container,
    one_loud_container,
    container_beside_host,
    container_against_host,
    container_to_container,
    container_and_host,
    macvlan_container,
    published_port,
    many_connections,
)
