"""Situations where it is not plain whose a socket is. Each returns what the report must say."""

from tests.scenarios import viewers
from tests.scenarios.expected import Expected, text_of
from tests.scenarios.network import HOST, REMOTES, SECOND_REMOTES
from tests.scenarios.rates import VA, VC
from tests.scenarios.testbed import LIMITS, RATE_LIMITS

SO_REUSEPORT = (1, 15, 1)
RIGHTS = ("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")


def forked_opener_ended(testbed, rng):
    """A program connects, forks, and ends: the connection is the child's, not that of who opened it."""
    starter, peer = _connected_and_known(testbed, rng)
    starter.hand_over("background")
    return _sends_on(testbed, rng, starter, peer)


def pid_used_again(testbed, rng):
    """As before, and another process has the pid of the opener by now."""
    starter, peer = _connected_and_known(testbed, rng)
    old = starter.pid
    starter.hand_over("background")
    for _ in range(20):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(old - 1))
        if testbed.helper("innocent").pid == old:
            break
    else:
        raise AssertionError(f"pid {old} could not be used again")
    return _sends_on(testbed, rng, starter, peer)


def child_beside_sleeping_parent(testbed, rng):
    """A forked child sends over a socket that its sleeping parent has open as well."""
    starter = testbed.helper("starter")
    parent = text_of(starter)
    peer = testbed.connect_over(starter, VA, rng.randrange(1024, 30000))
    starter.hand_over("background", parent_stays=True)
    testbed.first_check(RATE_LIMITS)
    act = rng.choice(["send", "send_in_a_thread"])
    testbed.move(starter, "send", rng.randrange(3, 8) * 1_000_000, ("va",), near_act=act)
    return [Expected("va outbound", ("by", text_of(starter)), {parent, peer})]


def listeners_share_a_port(testbed, rng):
    """Processes listen on one port with SO_REUSEPORT, and all have connections: the port has all of them."""
    testbed.add_background(rng, rng.randrange(5, 20))
    owners, port = rng.sample(testbed.workers, 4), rng.randrange(1024, 30000)
    for owner in owners:
        owner.run("listen", HOST, port, 1024, SO_REUSEPORT)
    testbed.remote.run("connect", [(rng.choice(REMOTES), HOST, port)] * rng.randrange(240, 300))
    # The kernel spreads them evenly, but not exactly.
    return [Expected("High", ("on", f":{port}"), set(REMOTES), {text_of(owner): 45.0 for owner in owners})]


def listeners_share_an_overflow(testbed, rng):
    """Processes listen on one port with SO_REUSEPORT and none accepts: all refusals are the port's."""
    owners, port = rng.sample(testbed.workers, 4), rng.randrange(1024, 30000)
    for owner in owners:
        owner.run("listen", HOST, port, rng.randrange(2, 8), SO_REUSEPORT)
    testbed.first_check(LIMITS | {"listen_overflow_threshold_per_sec": 0})
    testbed.remote.run("start_connecting", HOST, port, 120)
    shares = {text_of(owner): 45.0 for owner in owners}
    return [Expected("Listen queue", ("on", f":{port}"), shares=shares, says=(f"100% on :{port}",))]


def socket_activation(testbed, rng):
    """A supervisor keeps a listener open that its child accepts from: the child has the connections."""
    testbed.add_background(rng, rng.randrange(5, 45))
    service, port = testbed.helper("supervisor"), rng.randrange(1024, 30000)
    count = rng.randrange(170, 300)
    service.run("listen", HOST, port, 1024)
    supervisor = text_of(service)
    service.hand_over("service", parent_stays=True)
    source = rng.choice(REMOTES)
    testbed.remote.start("connect", [(source, HOST, port)] * count)
    service.run("accept", count)
    testbed.remote.result()
    first = ("on", f":{port}", text_of(service))
    return [Expected("High", first, {source}, never=(f"owned by {supervisor}",))]


def subflows(testbed, rng):
    """A connection of MPTCP has a subflow over each of two links: what both carry is its process's."""
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    testbed.connect_mptcp(culprit, REMOTES[0], port)
    testbed.move(culprit, "send", 1000, ())  # the second subflow is opened with the first bytes
    testbed.first_check(RATE_LIMITS)
    before = testbed.carried()
    testbed.move(culprit, "send", rng.randrange(4, 9) * 1_000_000, ("va", "vc"))
    after = testbed.carried()
    sent = {link: after[link]["outbound"] - before[link]["outbound"] for link in ("va", "vc")}
    peers = {f"{address}:{port}" for address in (REMOTES[0], SECOND_REMOTES[0])}
    links = [link for link in sent if sent[link] > 2_000_000]
    return [Expected(f"{link} outbound", ("by", text_of(culprit)), peers) for link in links]


def without_rights(testbed, rng):
    """An agent of another user without capabilities says which ones would show the owner."""
    return _invisible(testbed, rng, viewers.without_rights, RIGHTS)


def hidden_processes(testbed, rng):
    """The mount of /proc hides processes of other users: the report says that this is why."""
    return _invisible(testbed, rng, viewers.with_hidden_processes, ("hidepid",))


def own_pid_namespace(testbed, rng):
    """The agent sees only processes of its own pid namespace: the report says that this is why."""
    return _invisible(testbed, rng, viewers.in_a_pid_namespace, ("pid namespace",))


def _connected_and_known(testbed, rng):
    """A process whose connection was reported before, and the peer of the connection."""
    starter = testbed.helper("starter")
    peer = testbed.connect_over(starter, VA, rng.randrange(1024, 30000))
    testbed.first_check(RATE_LIMITS)
    testbed.move(starter, "send", 2_000_000, ("va",))
    testbed.check()  # its owner is looked up
    testbed.check()  # a healthy one: the alert is a new one next time
    return starter, peer


def _sends_on(testbed, rng, background, peer):
    neighbour = rng.choice(testbed.workers)
    other_peer = testbed.connect_over(neighbour, VC, rng.randrange(1024, 30000))
    testbed.check()
    testbed.move(background, "send", rng.randrange(3, 8) * 1_000_000, ("va",))
    testbed.move(neighbour, "send", rng.randrange(3, 8) * 1_000_000, ("vc",))
    return [
        Expected("va outbound", ("by", text_of(background), "to", peer)),
        Expected("vc outbound", ("by", text_of(neighbour), "to", other_peer)),
    ]


def _invisible(testbed, rng, report, words):
    culprit, port, count = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.randrange(170, 300)
    source = rng.choice([REMOTES[5], SECOND_REMOTES[5]])
    address = HOST if source in REMOTES else "10.78.0.1"
    culprit.run("listen", address, port, 1024)
    testbed.remote.start("connect", [(source, address, port)] * count)
    culprit.run("accept", count)
    testbed.remote.result()
    testbed.report_by(report)
    return [Expected("High", ("on", f":{port}"), {source}, says=words)]


SITUATIONS = (
    forked_opener_ended,
    pid_used_again,
    child_beside_sleeping_parent,
    listeners_share_a_port,
    listeners_share_an_overflow,
    socket_activation,
    subflows,
    without_rights,
    hidden_processes,
    own_pid_namespace,
)
