"""Situations with a high rate on one of two links. Each returns what the report must say."""

from tests.scenarios.expected import Expected, text_of
from tests.scenarios.network import HOST, REMOTES, SECOND_REMOTES
from tests.scenarios.testbed import RATE_LIMITS, Route

VA, VC = Route(("va",), REMOTES[0]), Route(("vc",), SECOND_REMOTES[0])
#: The kernel reports closed sockets a moment later.
CLOSED_S = 0.15
ACTS = [("send", "outbound"), ("receive", "inbound")]


def one_sends(testbed, rng):
    """Twenty workers send over two links; one of them sends most."""
    return bulk(testbed, rng, "send", "outbound", "to")


def one_receives(testbed, rng):
    """Twenty workers receive over two links; one of them receives most."""
    return bulk(testbed, rng, "receive", "inbound", "from")


def bulk(testbed, rng, act, direction, preposition):
    """Twenty workers send or receive, each over one of the links."""
    culprit, *others = rng.sample(testbed.workers, 20)
    port, link_of = rng.randrange(1024, 30000), {rng.choice(REMOTES): "va", rng.choice(SECOND_REMOTES): "vc"}
    address = rng.choice(list(link_of))
    plans = [(other, rng.randrange(5, 60) * 1000, rng.choice(list(link_of))) for other in others]
    plans.insert(rng.randrange(20), (culprit, rng.randrange(3, 8) * 1_000_000, address))
    testbed.remote.run("listen", "0.0.0.0", port, 64)
    for worker, _, target in plans:
        testbed.connect_to_remote(worker, [(None, target, port)])
    testbed.first_check(RATE_LIMITS)
    for worker, octets, target in plans:
        testbed.move(worker, act, octets, (link_of[target],))
    first = ("by", text_of(culprit), preposition, f"{address}:{port}")
    return [Expected(f"{link_of[address]} {direction}", first)]


def short_calls_in(testbed, rng):
    """Many short connections to one port bring most of the bytes."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    times, octets = rng.randrange(40, 80), rng.randrange(30, 60) * 1000
    testbed.add_background(rng, 6)
    culprit.run("listen", HOST, port, 64)
    testbed.first_check(RATE_LIMITS)
    culprit.start("receive_briefly", times)
    testbed.remote.run("send_briefly", HOST, port, times, octets)
    culprit.result()
    testbed.count(culprit, "receive", times * octets, ("va",))
    testbed.wait(CLOSED_S)
    return [Expected("va inbound", ("by", text_of(culprit), "from"), set(REMOTES))]


def short_calls_out(testbed, rng):
    """Many short connections to one remote carry most of the bytes.

    A process with another connection to the same remote may be their owner, or not.
    """
    culprit, port, address = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.choice(REMOTES)
    times, octets = rng.randrange(40, 80), rng.randrange(30, 60) * 1000
    testbed.add_background(rng, 6)
    testbed.remote.run("listen", address, port, 64)
    connected = rng.choice([culprit, rng.choice(testbed.workers), None])
    if connected:
        testbed.connect_to_remote(connected, [(None, address, port)])
    testbed.first_check(RATE_LIMITS)
    testbed.remote.start("receive_briefly", times)
    culprit.run("send_briefly", address, port, times, octets)
    testbed.remote.result()
    testbed.count(culprit, "send", times * octets, ("va",))
    testbed.wait(CLOSED_S)
    name = ("by", text_of(connected), "or", "another", "process") if connected else ()
    return [Expected("va outbound", (*name, "to", f"{address}:{port}"))]


def datagrams(testbed, rng):
    """UDP datagrams, whose process is unknown, are most of the rate; there is some TCP traffic as well.

    So most of the rate is not TCP; a process of the TCP traffic may follow.
    """
    port = rng.randrange(1024, 30000)
    testbed.connect_over(testbed.workers[0], VA, port)
    testbed.first_check(RATE_LIMITS)
    testbed.move(testbed.workers[0], "send", rng.randrange(10, 200) * 1000, ("va",))
    rng.choice(testbed.workers[1:]).run("send_datagrams", REMOTES[1], port, 2000)
    return [Expected("va outbound", (), says=("% not TCP: ", " UDP datagrams/s"))]


SITUATIONS = (one_sends, one_receives, short_calls_in, short_calls_out, datagrams)
