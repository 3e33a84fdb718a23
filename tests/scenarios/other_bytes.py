"""Situations with bytes that no TCP socket counts: datagrams, and what is forwarded; and with bursts.

Each returns what the report must say.
"""

from tests.running_kernel import HAS_TRACEPOINTS
from tests.scenarios.container_testbed import CLIENT
from tests.scenarios.containers import LOUD, QUIET, check_flows, links_of, on_every_link
from tests.scenarios.expected import Expected, text_of
from tests.scenarios.links import OPPOSITE, by
from tests.scenarios.network import REMOTES
from tests.scenarios.rates import ACTS, VA, VC
from tests.scenarios.testbed import RATE_LIMITS, Route

ACCOUNTING = "netfilter/nf_conntrack_acct"
BPF_LIMITS = RATE_LIMITS | {"bpf": True}


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
    """A container sends datagrams, as QUIC does: with bpf its links and the uplink name the process."""
    container, peer = send_datagrams(testbed, rng)
    check_flows(testbed, BPF_LIMITS)
    return on_every_link(testbed, container, "outbound", peer)


def datagrams_of_a_container(testbed, rng):
    """The same without bpf: no process is blamed; its link names the container, and the uplink says why."""
    container, peer = send_datagrams(testbed, rng)
    other = beside_on_vc(testbed, rng, "send", "outbound")
    label = set(container.label.split())
    not_tcp = ("% not TCP: ", f" UDP datagrams/s in {container.label}")
    return [
        Expected(f"{container.link} inbound", (), label, says=not_tcp, never=(" by ",)),
        Expected("va outbound", (), {peer, *label}, says=("forwarded",), never=(" by ",)),
        other,
    ]


def send_datagrams(testbed, rng):
    """A container's process sends datagrams to the remote side; returns the container and the peer."""
    container = rng.choice(testbed.containers)
    count, links = rng.randrange(15, 25), links_of(testbed, container)
    return container, testbed.datagrams(container.worker, rng.choice(REMOTES), 443, count, ("va",), links)


def forwarded_flow(testbed, rng):
    """Another host's bytes are forwarded: with accounting the report names source, destination and port."""
    testbed.sysctl(ACCOUNTING, "1", "0")
    act, direction = rng.choice(ACTS)
    peer = testbed.connect_over(testbed.client, Route((), rng.choice(REMOTES)), rng.randrange(1024, 30000))
    testbed.flow(testbed.client, act, rng.randrange(*LOUD), ())
    ends = (CLIENT, "to", peer) if act == "send" else (peer, "to", CLIENT)
    first = ("forwarded", "from", *ends)
    findings = (f"va {direction}", f"fw0 {OPPOSITE[direction]}")
    return [*(Expected(finding, first) for finding in findings), beside_on_vc(testbed, rng, act, direction)]


def forwarded_datagrams(testbed, rng):
    """Where the kernel counts no bytes of flows, the report says how many packets were forwarded at least."""
    peer = testbed.datagrams(testbed.client, rng.choice(REMOTES), 443, rng.randrange(15, 25), ())
    forwarded = [
        Expected(f"{link} {direction}", (), {peer}, says=("% of packets forwarded",), never=(" by ",))
        for link, direction in (("va", "outbound"), ("fw0", "inbound"))
    ]
    return [*forwarded, beside_on_vc(testbed, rng, "send", "outbound")]


def beside_on_vc(testbed, rng, act, direction):
    """A process of the host moves less over another link; what the report says about that one."""
    neighbour = rng.choice(testbed.workers)
    own = testbed.connect_over(neighbour, VC, rng.randrange(30000, 31000))
    testbed.flow(neighbour, act, rng.randrange(*QUIET), VC.links)
    check_flows(testbed)
    return Expected(f"vc {direction}", by(neighbour, own, direction))


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


WITH_BPF = (datagrams_with_bpf, datagrams_of_a_container_with_bpf) if HAS_TRACEPOINTS else ()
SITUATIONS = (*WITH_BPF, datagrams_of_a_container, forwarded_flow, forwarded_datagrams, burst)
