"""Situations with a known culprit, made of a seed. Each takes a stage and gives what the report must say.

The host is watched; everything beyond it is played by one process in a namespace of its own.
"""

from dataclasses import dataclass, field

HOST, HOST6 = "10.77.0.1", "fd77::1"
FAR = [f"10.77.0.{n}" for n in range(2, 42)]
#: Addresses of one /64 each, and many of one.
FAR6 = [f"fd77:0:0:{n:x}::2" for n in range(1, 21)]
NEAR6 = [f"fd77::{n:x}" for n in range(2, 32)]
#: Rates that are passed by far also where a busy machine makes the window of a check long.
LIMITS = {"conn_threshold": 140, "tx_threshold_mbps": 1, "rx_threshold_mbps": 1}


@dataclass
class Truth:
    """What a finding must say first (all of ``first``; nothing in particular where nobody did it), and what
    else it may say with a large share.
    """

    finding: str
    first: tuple[str, ...]
    guilty: set[str] = field(default_factory=set)

    def allows(self, phrase):
        """Whether all that a phrase names is guilty."""
        named = [w.strip(",") for w in phrase.split()[1:] if any(c.isdigit() for c in w)]
        return all(word in self.guilty | set(self.first) for word in named)


def who(actor):
    return f"{actor.name}[{actor.pid}]"


def flood(stage, sources, address, rng):
    """Connections to one port; tells the port and its owner."""
    culprit, port, count = rng.choice(stage.crowd), rng.randrange(1024, 30000), rng.randrange(170, 320)
    culprit.do("listen", address, port, 1024)
    stage.far.start("connect", [(rng.choice(sources), address, port) for _ in range(count)])
    culprit.do("accept", count)
    stage.far.result()
    return culprit, port


def flood_from_one(stage, rng):
    """One address opens connections to one port."""
    stage.bustle(rng, rng.randrange(5, 45))
    source = rng.choice(FAR)
    culprit, port = flood(stage, [source], HOST, rng)
    return [Truth("High", ("on", f":{port}", who(culprit)), {source})]


def flood_from_one_v6(stage, rng):
    """One network, of one address or many, does so over IPv6."""
    stage.bustle(rng, rng.randrange(5, 45))
    source = rng.choice(FAR6)
    sources, network = rng.choice([([source], f"{source[:-1]}/64"), (NEAR6, "fd77::/64")])
    culprit, port = flood(stage, sources, HOST6, rng)
    return [Truth("High", ("on", f":{port}", who(culprit)), {network})]


def flood_from_many(stage, rng):
    """Many addresses open connections to one port, over IPv4 or IPv6."""
    stage.bustle(rng, rng.randrange(5, 45))
    sources, address = rng.choice([(FAR, HOST), (FAR6, HOST6)])
    culprit, port = flood(stage, sources, address, rng)
    return [Truth("High", ("on", f":{port}", who(culprit)))]


def close_wait_leak(stage, rng):
    """Of fifty that talk to servers, one does not close what they have closed."""
    culprit, *others = rng.sample(stage.crowd, len(stage.crowd))
    ports = rng.sample(range(1024, 30000), rng.choice([1, 6]))
    for port in ports:
        stage.far.do("listen", FAR[0], port, 1024)
        count = rng.randrange(160, 260) // len(ports)
        stage.far_accepts(culprit, [(None, FAR[0], port)] * count)
        stage.far.do("drop", 0, count)
    for other in others:
        port = rng.choice(ports[-1:])
        stage.far_accepts(other, [(None, FAR[0], port)] * rng.randrange(1, 3))
    first = ("to", f"{FAR[0]}:{ports[0]}", who(culprit)) if len(ports) == 1 else (who(culprit),)
    return [Truth("High", first, {f"{FAR[0]}:{p}" for p in ports})]


def one_sends(stage, rng):
    """Twenty send; one of them sends most."""
    return bulk(stage, rng, "send", "receive", "outbound", "to")


def one_receives(stage, rng):
    """Twenty receive; one of them receives most."""
    return bulk(stage, rng, "receive", "send", "inbound", "from")


def bulk(stage, rng, near_act, far_act, way, preposition):
    culprit, *others = rng.sample(stage.crowd, 20)
    port, address = rng.randrange(1024, 30000), rng.choice(FAR)
    plans = [(other, rng.randrange(5, 60) * 1000) for other in others]
    plans.insert(rng.randrange(20), (culprit, rng.randrange(3, 8) * 1_000_000))
    stage.far.do("listen", address, port, 64)
    for actor, _ in plans:
        stage.far_accepts(actor, [(None, address, port)])
    stage.watch(LIMITS)
    for position, (actor, octets) in enumerate(plans):
        actor.start(near_act, octets)
        stage.far.do(far_act, octets, position)
        actor.result()
    remote = f"{address}:{port}"
    return [Truth(f"va {way}", ("by", who(culprit), preposition, remote))]


def short_calls_in(stage, rng):
    """Many short connections to one port bring most of the bytes."""
    culprit, port = rng.choice(stage.crowd), rng.randrange(1024, 30000)
    times, octets = rng.randrange(40, 80), rng.randrange(30, 60) * 1000
    stage.bustle(rng, 6)
    culprit.do("listen", HOST, port, 64)
    stage.watch(LIMITS)
    culprit.start("answer_briefly", times)
    stage.far.do("call_briefly", HOST, port, times, octets)
    culprit.result()
    return [Truth("va inbound", ("by", who(culprit), "from"), set(FAR))]


def short_calls_out(stage, rng):
    """Many short connections to one remote carry most of the bytes. Whose they were is known if their owner
    has another one to there; else only where they went.
    """
    culprit, port, address = rng.choice(stage.crowd), rng.randrange(1024, 30000), rng.choice(FAR)
    times, octets = rng.randrange(40, 80), rng.randrange(30, 60) * 1000
    stage.bustle(rng, 6)
    stage.far.do("listen", address, port, 64)
    has_another = rng.random() < 0.5
    if has_another:
        stage.far_accepts(culprit, [(None, address, port)])
    stage.watch(LIMITS)
    stage.far.start("answer_briefly", times)
    culprit.do("call_briefly", address, port, times, octets)
    stage.far.result()
    name = ("by", who(culprit)) if has_another else ()
    return [Truth("va outbound", (*name, "to", f"{address}:{port}"))]


def nobody_accepts(stage, rng):
    """A listener accepts nothing: what waits at it has no owner yet."""
    stage.bustle(rng, rng.randrange(5, 45))
    culprit, port, source = rng.choice(stage.crowd), rng.randrange(1024, 30000), rng.choice(FAR)
    count = rng.randrange(170, 300)
    culprit.do("listen", HOST, port, 1024)
    stage.far.do("connect", [(source, HOST, port)] * count)
    return [Truth("High", ("on", f":{port}", who(culprit)), {source})]


def overflow(stage, rng):
    """A listener with a short queue accepts nothing: connections are lost at it."""
    stage.bustle(rng, rng.randrange(5, 45))
    culprit, port = rng.choice(stage.crowd), rng.randrange(1024, 30000)
    culprit.do("listen", HOST, port, rng.randrange(2, 8))
    stage.watch(LIMITS | {"listen_overflow_threshold_per_sec": 0})
    stage.far.do("knock", HOST, port, 40)
    return [Truth("Listen", ("on", f":{port}", who(culprit)))]


def leak_of_udp(stage, rng):
    """One process opens UDP sockets and forgets them."""
    stage.bustle(rng, rng.randrange(5, 45))
    culprit = rng.choice(stage.crowd)
    culprit.do("bind_udp", rng.randrange(170, 300))
    return [Truth("High", ("owned", who(culprit)))]


def leak_of_queries(stage, rng):
    """One process asks one remote over UDP, each time with a socket of its own, and forgets it."""
    stage.bustle(rng, rng.randrange(5, 45))
    culprit, remote = rng.choice(stage.crowd), rng.choice(FAR)
    culprit.do("connect_udp", remote, 53, rng.randrange(170, 300))
    return [Truth("High", ("to", f"{remote}:53", who(culprit)))]


def flood_and_bulk(stage, rng):
    """A flood of one port, while another process sends: each finding has a culprit of its own."""
    source = rng.choice(FAR)
    culprit, port = flood(stage, [source], HOST, rng)
    sender = rng.choice([actor for actor in stage.crowd if actor is not culprit])
    remote_port = rng.randrange(1024, 30000)
    stage.far.do("listen", FAR[1], remote_port, 64)
    stage.far_accepts(sender, [(None, FAR[1], remote_port)])
    stage.watch(LIMITS)
    octets = rng.randrange(3, 8) * 1_000_000
    sender.start("send", octets)
    stage.far.do("receive", octets)
    sender.result()
    return [
        Truth("High", ("on", f":{port}", who(culprit)), {source}),
        Truth("va outbound", ("by", who(sender), "to", f"{FAR[1]}:{remote_port}")),
    ]


def everybody(stage, rng):
    """All have some connections, to many remotes: too many together, but nobody in particular did it."""
    for _ in range(4):
        port = rng.randrange(1024, 30000)
        stage.far.do("listen", "0.0.0.0", port, 256)
        for actor in stage.crowd:
            stage.far_accepts(actor, [(None, rng.choice(FAR), port)])
    return [Truth("High", ())]


def datagrams(stage, rng):
    """Datagrams, which the kernel does not count by process, make the rate; some TCP goes on as well."""
    port = rng.randrange(1024, 30000)
    stage.far.do("listen", FAR[0], port, 64)
    stage.far_accepts(stage.crowd[0], [(None, FAR[0], port)])
    stage.watch(LIMITS)
    octets = rng.randrange(10, 200) * 1000
    stage.crowd[0].start("send", octets)
    stage.far.do("receive", octets)
    stage.crowd[0].result()
    rng.choice(stage.crowd[1:]).do("send_datagrams", FAR[1], port, 2000)
    return [Truth("va outbound", ())]


SITUATIONS = (
    flood_from_one,
    flood_from_one_v6,
    flood_from_many,
    close_wait_leak,
    one_sends,
    one_receives,
    short_calls_in,
    short_calls_out,
    nobody_accepts,
    overflow,
    leak_of_udp,
    leak_of_queries,
    flood_and_bulk,
    everybody,
    datagrams,
)
