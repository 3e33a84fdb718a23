"""Scenarios with a known culprit, random but reproducible. Each returns what the report must say.

The monitor runs on the host. One process in a second namespace acts as all remote hosts.
"""

from dataclasses import dataclass, field

HOST, HOST6 = "10.77.0.1", "fd77::1"
REMOTES = [f"10.77.0.{n}" for n in range(2, 42)]
#: Addresses in a /64 of their own, and addresses in one /64.
REMOTES6 = [f"fd77:0:0:{n:x}::2" for n in range(1, 21)]
ONE_NETWORK6 = [f"fd77::{n:x}" for n in range(2, 32)]
#: The scenarios exceed these rates by far, also if a busy machine makes the window of a check long.
LIMITS = {"conn_threshold": 140, "tx_threshold_mbps": 1, "rx_threshold_mbps": 1}


@dataclass
class Expected:
    """What a finding must say: its first phrase has all words of ``first``, which is empty without a culprit.

    The words of ``involved`` may have a large share as well.
    """

    finding: str
    first: tuple[str, ...]
    involved: set[str] = field(default_factory=set)

    def allows(self, phrase):
        """Whether a phrase names only what is involved."""
        named = [w.strip(",") for w in phrase.split()[1:] if any(c.isdigit() for c in w)]
        return all(word in self.involved | set(self.first) for word in named)


def text_of(worker):
    return f"{worker.name}[{worker.pid}]"


def flood(testbed, sources, address, rng):
    """Connections to one port; returns the owner of the port, and the port."""
    culprit, port, count = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.randrange(170, 320)
    culprit.run("listen", address, port, 1024)
    testbed.remote.start("connect", [(rng.choice(sources), address, port) for _ in range(count)])
    culprit.run("accept", count)
    testbed.remote.result()
    return culprit, port


def flood_from_one(testbed, rng):
    """One address opens connections to one port."""
    testbed.add_background(rng, rng.randrange(5, 45))
    source = rng.choice(REMOTES)
    culprit, port = flood(testbed, [source], HOST, rng)
    return [Expected("High", ("on", f":{port}", text_of(culprit)), {source})]


def flood_from_one_v6(testbed, rng):
    """One IPv6 network, with one address or many, opens connections to one port."""
    testbed.add_background(rng, rng.randrange(5, 45))
    source = rng.choice(REMOTES6)
    sources, network = rng.choice([([source], f"{source[:-1]}/64"), (ONE_NETWORK6, "fd77::/64")])
    culprit, port = flood(testbed, sources, HOST6, rng)
    return [Expected("High", ("on", f":{port}", text_of(culprit)), {network})]


def flood_from_many(testbed, rng):
    """Many addresses open connections to one port, over IPv4 or IPv6."""
    testbed.add_background(rng, rng.randrange(5, 45))
    sources, address = rng.choice([(REMOTES, HOST), (REMOTES6, HOST6)])
    culprit, port = flood(testbed, sources, address, rng)
    return [Expected("High", ("on", f":{port}", text_of(culprit)))]


def close_wait_leak(testbed, rng):
    """One of fifty workers does not close the connections that the servers have closed."""
    culprit, *others = rng.sample(testbed.workers, len(testbed.workers))
    ports = rng.sample(range(1024, 30000), rng.choice([1, 6]))
    for port in ports:
        testbed.remote.run("listen", REMOTES[0], port, 1024)
        count = rng.randrange(160, 260) // len(ports)
        testbed.connect_to_remote(culprit, [(None, REMOTES[0], port)] * count)
        testbed.remote.run("close", 0, count)
    for other in others:
        port = rng.choice(ports[-1:])
        testbed.connect_to_remote(other, [(None, REMOTES[0], port)] * rng.randrange(1, 3))
    first = ("to", f"{REMOTES[0]}:{ports[0]}", text_of(culprit)) if len(ports) == 1 else (text_of(culprit),)
    return [Expected("High", first, {f"{REMOTES[0]}:{p}" for p in ports})]


def one_sends(testbed, rng):
    """Twenty workers send; one of them sends most."""
    return bulk(testbed, rng, "send", "receive", "outbound", "to")


def one_receives(testbed, rng):
    """Twenty workers receive; one of them receives most."""
    return bulk(testbed, rng, "receive", "send", "inbound", "from")


def bulk(testbed, rng, near_act, far_act, direction, preposition):
    culprit, *others = rng.sample(testbed.workers, 20)
    port, address = rng.randrange(1024, 30000), rng.choice(REMOTES)
    plans = [(other, rng.randrange(5, 60) * 1000) for other in others]
    plans.insert(rng.randrange(20), (culprit, rng.randrange(3, 8) * 1_000_000))
    testbed.remote.run("listen", address, port, 64)
    for worker, _ in plans:
        testbed.connect_to_remote(worker, [(None, address, port)])
    testbed.first_check(LIMITS)
    for position, (worker, octets) in enumerate(plans):
        worker.start(near_act, octets)
        testbed.remote.run(far_act, octets, position)
        worker.result()
    remote = f"{address}:{port}"
    return [Expected(f"va {direction}", ("by", text_of(culprit), preposition, remote))]


def short_calls_in(testbed, rng):
    """Many short connections to one port bring most of the bytes."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    times, octets = rng.randrange(40, 80), rng.randrange(30, 60) * 1000
    testbed.add_background(rng, 6)
    culprit.run("listen", HOST, port, 64)
    testbed.first_check(LIMITS)
    culprit.start("receive_briefly", times)
    testbed.remote.run("send_briefly", HOST, port, times, octets)
    culprit.result()
    return [Expected("va inbound", ("by", text_of(culprit), "from"), set(REMOTES))]


def short_calls_out(testbed, rng):
    """Many short connections to one remote carry most of the bytes.

    Their owner is known only if it has another connection to the same remote.
    """
    culprit, port, address = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.choice(REMOTES)
    times, octets = rng.randrange(40, 80), rng.randrange(30, 60) * 1000
    testbed.add_background(rng, 6)
    testbed.remote.run("listen", address, port, 64)
    has_another = rng.random() < 0.5
    if has_another:
        testbed.connect_to_remote(culprit, [(None, address, port)])
    testbed.first_check(LIMITS)
    testbed.remote.start("receive_briefly", times)
    culprit.run("send_briefly", address, port, times, octets)
    testbed.remote.result()
    name = ("by", text_of(culprit)) if has_another else ()
    return [Expected("va outbound", (*name, "to", f"{address}:{port}"))]


def no_accept(testbed, rng):
    """A listener does not accept: its waiting connections have no owner yet."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, port, source = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.choice(REMOTES)
    count = rng.randrange(170, 300)
    culprit.run("listen", HOST, port, 1024)
    testbed.remote.run("connect", [(source, HOST, port)] * count)
    return [Expected("High", ("on", f":{port}", text_of(culprit)), {source})]


def overflow(testbed, rng):
    """A listener with a short queue does not accept: connections are refused."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    culprit.run("listen", HOST, port, rng.randrange(2, 8))
    testbed.first_check(LIMITS | {"listen_overflow_threshold_per_sec": 0})
    testbed.remote.run("start_connecting", HOST, port, 40)
    return [Expected("Listen", ("on", f":{port}", text_of(culprit)))]


def leak_of_udp(testbed, rng):
    """One process opens many UDP sockets and does not close them."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit = rng.choice(testbed.workers)
    culprit.run("bind_udp", rng.randrange(170, 300))
    return [Expected("High", ("owned", text_of(culprit)))]


def leak_of_queries(testbed, rng):
    """One process opens many UDP sockets to one remote and does not close them."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, remote = rng.choice(testbed.workers), rng.choice(REMOTES)
    culprit.run("connect_udp", remote, 53, rng.randrange(170, 300))
    return [Expected("High", ("to", f"{remote}:53", text_of(culprit)))]


def flood_and_bulk(testbed, rng):
    """A flood of one port while another process sends: each finding has its own culprit."""
    source = rng.choice(REMOTES)
    culprit, port = flood(testbed, [source], HOST, rng)
    sender = rng.choice([each for each in testbed.workers if each is not culprit])
    remote_port = rng.randrange(1024, 30000)
    testbed.remote.run("listen", REMOTES[1], remote_port, 64)
    testbed.connect_to_remote(sender, [(None, REMOTES[1], remote_port)])
    testbed.first_check(LIMITS)
    octets = rng.randrange(3, 8) * 1_000_000
    sender.start("send", octets)
    testbed.remote.run("receive", octets)
    sender.result()
    return [
        Expected("High", ("on", f":{port}", text_of(culprit)), {source}),
        Expected("va outbound", ("by", text_of(sender), "to", f"{REMOTES[1]}:{remote_port}")),
    ]


def evenly_spread(testbed, rng):
    """All workers have some connections to many remotes: there is no single culprit."""
    for _ in range(4):
        port = rng.randrange(1024, 30000)
        testbed.remote.run("listen", "0.0.0.0", port, 256)
        for worker in testbed.workers:
            testbed.connect_to_remote(worker, [(None, rng.choice(REMOTES), port)])
    return [Expected("High", ())]


def datagrams(testbed, rng):
    """UDP datagrams, whose process is unknown, are most of the rate; there is some TCP traffic as well."""
    port = rng.randrange(1024, 30000)
    testbed.remote.run("listen", REMOTES[0], port, 64)
    testbed.connect_to_remote(testbed.workers[0], [(None, REMOTES[0], port)])
    testbed.first_check(LIMITS)
    octets = rng.randrange(10, 200) * 1000
    testbed.workers[0].start("send", octets)
    testbed.remote.run("receive", octets)
    testbed.workers[0].result()
    rng.choice(testbed.workers[1:]).run("send_datagrams", REMOTES[1], port, 2000)
    return [Expected("va outbound", ())]


SCENARIOS = (
    flood_from_one,
    flood_from_one_v6,
    flood_from_many,
    close_wait_leak,
    one_sends,
    one_receives,
    short_calls_in,
    short_calls_out,
    no_accept,
    overflow,
    leak_of_udp,
    leak_of_queries,
    flood_and_bulk,
    evenly_spread,
    datagrams,
)
