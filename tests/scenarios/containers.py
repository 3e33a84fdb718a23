"""Situations with containers, UDP and bursts. Each returns what the report must say."""

from tests.scenarios.expected import Expected, text_of
from tests.scenarios.links import OPPOSITE, by
from tests.scenarios.network import REMOTES
from tests.scenarios.rates import ACTS, VA, VC
from tests.scenarios.testbed import RATE_LIMITS, Route

#: Other namespaces and calls are sampled for a second: the flows go on meanwhile.
FLOW_S = 0.3
#: Bytes that a flow sends in 5 ms: at most 64 Mbps together.
LOUD, QUIET = (15_000, 30_000), (2_000, 4_000)
CONNECTION_LIMITS = RATE_LIMITS | {"container_conn_threshold": 1000}
#: One process is named although its flow is not TCP.
BPF_LIMITS = RATE_LIMITS | {"bpf": True}


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


def anybody(*containers):
    """Nobody need be named, but all of these may be, for what they had."""
    return {word for each in containers for word in (*each.words, *each.label.split())}


def one_container(testbed, rng):
    """A container sends or receives: its link names the process."""
    act, direction = rng.choice(ACTS)
    container = rng.choice(testbed.containers)
    peer = flow_to_remote(testbed, rng, container, act, LOUD)
    check_flows(testbed)
    return [
        of_container(container, direction, peer),
        Expected(f"va {direction}", (), {peer, *anybody(container)}),
    ]


def one_loud_container(testbed, rng):
    """One container sends, or receives, ten times as much as another one: each link names its own process."""
    act, direction = rng.choice(ACTS)
    loud, quiet = rng.sample(testbed.containers, 2)
    peer, other_peer = (
        flow_to_remote(testbed, rng, *each) for each in ((loud, act, LOUD), (quiet, act, QUIET))
    )
    check_flows(testbed)
    return [
        of_container(loud, direction, peer),
        of_container(quiet, direction, other_peer),
        Expected(f"va {direction}", (), {peer, other_peer, *anybody(loud, quiet)}),
    ]


def container_beside_host(testbed, rng):
    """A container and a process of the host use one uplink, in opposite directions."""
    (act, direction), (other_act, other_direction) = rng.sample(ACTS, 2)
    container, neighbour = rng.choice(testbed.containers), rng.choice(testbed.workers)
    peer = flow_to_remote(testbed, rng, container, act, LOUD)
    own = testbed.connect_over(neighbour, VA, rng.randrange(30000, 31000))
    testbed.flow(neighbour, other_act, rng.randrange(*LOUD), VA.links)
    check_flows(testbed)
    return [
        of_container(container, direction, peer),
        Expected(f"va {other_direction}", by(neighbour, own, other_direction)),
        Expected(f"va {direction}", (), {peer, *anybody(container)}),
    ]


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


def datagrams_with_bpf(testbed, rng):
    """A process sends datagrams beside another one's TCP; with bpf it is named."""
    culprit, neighbour = rng.sample(testbed.workers, 2)
    port, address = rng.randrange(1024, 30000), rng.choice(REMOTES)
    peer = testbed.datagrams(culprit, address, port, rng.randrange(15, 25), ("va",))
    other = testbed.connect_over(neighbour, VA, port + 1)
    testbed.flow(neighbour, "send", rng.randrange(*QUIET), ("va",))
    check_flows(testbed, BPF_LIMITS)
    return [Expected("va outbound", by(culprit, peer, "outbound"), {text_of(neighbour), other})]


def datagrams_of_a_container_with_bpf(testbed, rng):
    """A container sends datagrams, as QUIC does: with bpf its link names the process."""
    container, peer = send_datagrams(testbed, rng)
    check_flows(testbed, BPF_LIMITS)
    return [
        of_container(container, "outbound", peer),
        Expected("va outbound", (), {peer, *anybody(container)}),
    ]


def datagrams_of_a_container(testbed, rng):
    """The same without bpf, beside a process of the host on another link: no process is blamed for them."""
    neighbour = rng.choice(testbed.workers)
    container, peer = send_datagrams(testbed, rng)
    own = testbed.connect_over(neighbour, VC, rng.randrange(1024, 30000))
    testbed.flow(neighbour, "send", rng.randrange(*QUIET), VC.links)
    check_flows(testbed)
    label = set(container.label.split())
    return [
        Expected(f"{container.link} inbound", (), label),
        Expected("va outbound", (), {peer, *label}),
        Expected("vc outbound", by(neighbour, own, "outbound")),
    ]


def send_datagrams(testbed, rng):
    """A container's process sends datagrams to the remote side; returns the container and the peer."""
    container = rng.choice(testbed.containers)
    count, links = rng.randrange(15, 25), links_of(testbed, container)
    return container, testbed.datagrams(container.worker, rng.choice(REMOTES), 443, count, ("va",), links)


def links_of(testbed, container):
    """The links of the host that what a container sends to other hosts comes in by."""
    return (container.link,) if container is testbed.inside else (container.link, "cb0")


def burst(testbed, rng):
    """A process sends at once what is within the limit on average: the highest second is not."""
    culprit, *others = rng.sample(testbed.workers, 6)
    port, address = rng.randrange(1024, 30000), rng.choice(REMOTES)
    testbed.remote.run("listen", "0.0.0.0", port, 64)
    for worker in (*others, culprit):
        testbed.connect_to_remote(worker, [(None, address, port)])
    testbed.first_check(RATE_LIMITS | {"rate_basis": "peak", "tx_threshold_mbps": 24})
    for second in range(4):
        if second == 1:
            testbed.move(culprit, "send", rng.randrange(6, 9) * 1_000_000, ("va",))
        else:
            testbed.move(rng.choice(others), "send", rng.randrange(1, 4) * 100_000, ("va",))
        testbed.pass_a_second()
    testbed.wait(0)
    peer = f"{address}:{port}"
    return [Expected("va outbound peak", by(culprit, peer, "outbound"), says=(", of all bytes in ",))]


SITUATIONS = (
    one_container,
    one_loud_container,
    container_beside_host,
    container_to_container,
    container_and_host,
    many_connections,
    datagrams_with_bpf,
    datagrams_of_a_container_with_bpf,
    datagrams_of_a_container,
    burst,
)
