"""Situations with too many connections. Each returns what the report must say."""

from tests.scenarios.expected import Expected, text_of
from tests.scenarios.network import HOST, HOST6, ONE_NETWORK6, REMOTES, REMOTES6, SECOND_REMOTES
from tests.scenarios.testbed import LIMITS

#: Words of the note that the owners of sockets were not found.
INVISIBLE = ("visible", "CAP_", "hidepid", "pid namespace", "in time")


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
    source, address = rng.choice([(REMOTES[3], HOST), (REMOTES[4], HOST), (SECOND_REMOTES[3], "10.78.0.1")])
    culprit, port = flood(testbed, [source], address, rng)
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


def flood_over_loopback(testbed, rng):
    """A process on the host opens connections to a port of the host, which may be its own port."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, opener = rng.sample(testbed.workers, 2)
    opener = rng.choice([culprit, opener])
    port, count = rng.randrange(1024, 30000), rng.randrange(100, 160)
    address = rng.choice(["127.0.0.1", HOST, "::1"])
    culprit.run("listen", address, port, 1024)
    opener.run("connect", [(None, address, port)] * count)
    culprit.run("accept", count)
    first, shares = ("on", f":{port}", text_of(culprit)), {text_of(opener): 50.0, text_of(culprit): 100.0}
    return [Expected("High", first, shares=shares, never=(f"from {address}",))]


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


def time_wait(testbed, rng):
    """Short connections to a port leave sockets in TIME_WAIT: no process has them open, none is invisible."""
    culprit, port, count = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.randrange(170, 250)
    culprit.run("listen", HOST, port, 64)
    culprit.start("close_first", count)
    testbed.remote.run("connect_until_closed", HOST, port, count)
    culprit.result()
    first = ("on", f":{port}", text_of(culprit))
    testbed.afterwards(testbed.renew_network)  # they stay for a minute
    return [Expected("High", first, {REMOTES[0]}, says=("TIME_WAIT",), never=INVISIBLE)]


def half_open(testbed, rng):
    """Half-open connections to a port have no process yet: none is invisible."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    network = rng.randrange(1, 250)
    sources = [f"10.66.{network}.{n}" for n in range(1, 251)]
    culprit.run("listen", HOST, port, 1024)
    testbed.remote.run("send_syns", sources, HOST, port)
    testbed.afterwards(testbed.renew_network)  # they stay for seconds after the listener
    first = ("on", f":{port}", text_of(culprit))
    return [Expected("High", first, says=("SYN_RECV",), never=INVISIBLE)]


def no_accept(testbed, rng):
    """A listener does not accept: its waiting connections have no owner yet."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, port, source = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.choice(REMOTES)
    count = rng.randrange(170, 300)
    culprit.run("listen", HOST, port, 1024)
    testbed.remote.run("connect", [(source, HOST, port)] * count)
    return [Expected("High", ("on", f":{port}", text_of(culprit)), {source})]


def leak_of_udp(testbed, rng):
    """One process opens many UDP sockets and does not close them."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit = rng.choice(testbed.workers)
    culprit.run("bind_udp", rng.randrange(170, 300))
    return [Expected("High", ("owned", text_of(culprit)))]


def leak_of_queries(testbed, rng):
    """One process opens many UDP sockets to one remote and does not close them."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, remote = rng.choice(testbed.workers), rng.choice([*REMOTES, *SECOND_REMOTES])
    culprit.run("connect_udp", remote, 53, rng.randrange(170, 300))
    return [Expected("High", ("to", f"{remote}:53", text_of(culprit)))]


def flood_and_bulk(testbed, rng):
    """A flood of one port while another process sends: each finding has its own culprit."""
    source = rng.choice(REMOTES)
    culprit, port = flood(testbed, [source], HOST, rng)
    sender = rng.choice([each for each in testbed.workers if each is not culprit])
    remote_port = rng.randrange(1024, 30000)
    link, address = rng.choice([("va", REMOTES[1]), ("vc", SECOND_REMOTES[1])])
    testbed.remote.run("listen", address, remote_port, 64)
    testbed.connect_to_remote(sender, [(None, address, remote_port)])
    testbed.first_check(LIMITS)
    testbed.move(sender, "send", rng.randrange(3, 8) * 1_000_000, (link,))
    return [
        Expected("High", ("on", f":{port}", text_of(culprit)), {source}),
        Expected(f"{link} outbound", ("by", text_of(sender), "to", f"{address}:{remote_port}")),
    ]


def evenly_spread(testbed, rng):
    """All workers have some connections to many remotes: there is no single culprit."""
    for _ in range(4):
        port = rng.randrange(1024, 30000)
        testbed.remote.run("listen", "0.0.0.0", port, 256)
        for worker in testbed.workers:
            testbed.connect_to_remote(worker, [(None, rng.choice([*REMOTES, *SECOND_REMOTES]), port)])
    return [Expected("High", ())]


SITUATIONS = (
    flood_from_one,
    flood_from_one_v6,
    flood_from_many,
    flood_over_loopback,
    close_wait_leak,
    time_wait,
    half_open,
    no_accept,
    leak_of_udp,
    leak_of_queries,
    flood_and_bulk,
    evenly_spread,
)
