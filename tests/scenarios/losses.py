"""Situations in which packets get lost. Each returns what the report must say."""

import re
import time

from network_health.attribution.retransmit_culprits import MIN_SEGMENTS
from tests.scenarios.expected import Expected, text_of
from tests.scenarios.network import HOST, REMOTES, SECOND_REMOTES
from tests.scenarios.testbed import LIMITS

#: Everything that is off by default; the rates are not what these situations are about.
LOSS_LIMITS = LIMITS | {
    "tx_threshold_mbps": 1e6,
    "rx_threshold_mbps": 1e6,
    "listen_overflow_threshold_per_sec": 0,
    "syn_queue_threshold_per_sec": 0,
    "udp_error_threshold_per_sec": 0,
}
#: So many seconds a loss goes on before the check.
LOSS_S = 0.3
MAX_LOSS_S = 20
#: A peer that answers is sent segments again for want of time only, on a busy machine.
GOOD_PEERS = 6


def overflow(testbed, rng):
    """A listener with a short queue does not accept: connections are refused."""
    testbed.add_background(rng, rng.randrange(5, 45))
    culprit, port = rng.choice(testbed.workers), rng.randrange(1024, 30000)
    culprit.run("listen", HOST, port, rng.randrange(2, 8))
    testbed.first_check(LIMITS | {"listen_overflow_threshold_per_sec": 0})
    testbed.remote.run("start_connecting", HOST, port, 40)
    return [Expected("Listen queue", ("on", f":{port}", text_of(culprit)), set(REMOTES))]


def syn_flood_with_cookies(testbed, rng):
    """SYNs from one network fill a listener's queue; the kernel answers with cookies."""
    culprit, port, network = _syn_flood(testbed, rng, cookies=True)
    first = ("on", f":{port}", text_of(culprit))
    return [Expected("SYN cookies", first, {network}, says=(network,))]


def syn_flood_without_cookies(testbed, rng):
    """SYNs from one network fill a listener's queue; the kernel drops what follows."""
    culprit, port, network = _syn_flood(testbed, rng, cookies=False)
    first = ("on", f":{port}", text_of(culprit))
    return [
        Expected(label, first, {network}, says=(network,)) for label in ("SYN queue drops", "Listen drops")
    ]


def udp_overflow(testbed, rng):
    """A UDP socket with a small buffer is not read; others get datagrams as well, one lost some before."""
    culprit, other, *readers = rng.sample(testbed.workers, 6)
    port, address = rng.randrange(1024, 30000), rng.choice([HOST, "10.78.0.1", "0.0.0.0"])
    culprit.run("bind_udp_port", address, port, 8192)
    for number, worker in enumerate((other, *readers)):
        worker.run("bind_udp_port", "0.0.0.0", 30001 + number, 1 << 20)
    # Its lifetime counter is higher, but it does not lose any more.
    other.run("bind_udp_port", "0.0.0.0", 31000, 8192)
    testbed.remote.run("send_datagrams", HOST, 31000, 2000)
    testbed.first_check(LOSS_LIMITS)
    target = HOST if address == "0.0.0.0" else address
    testbed.remote.run("keep_sending_datagrams", target, port, 20, 0.02)
    testbed.remote.run("keep_sending_datagrams", HOST, 30002, 1, 0.02)
    testbed.wait(LOSS_S)
    return [Expected("UDP receive", ("on", f":{port}", text_of(culprit)))]


def one_peer_loses(testbed, rng):
    """One of several peers gets two thirds of the packets; what another one lost before does not count."""
    culprit, bad, port = _send_to_peers(testbed, rng, lossy_before=rng.random() < 0.5)
    testbed.first_check(LOSS_LIMITS | {"retransmit_threshold_percent": 0.01})
    wait_for_resent(testbed, bad)
    first = ("to", f"{bad}:{port}", "by", text_of(culprit))
    return [Expected("TCP retransmits", first)]


def one_peer_is_lost_among_good_ones(testbed, rng):
    """The host's share of retransmits is low, that of one peer is high."""
    culprit, bad, port = _send_to_peers(testbed, rng)
    testbed.first_check(LOSS_LIMITS | {"peer_retransmit_threshold_percent": 5})
    wait_for_resent(testbed, bad)
    return [Expected("TCP retransmits to", (text_of(culprit),), {bad, f"{bad}:{port}"}, says=(bad,))]


def no_answer(testbed, rng):
    """A process connects to an address that does not answer: its SYNs are what is sent again."""
    culprit, *senders = rng.sample(testbed.workers, 4)
    silent, port = rng.choice(REMOTES[20:]), rng.randrange(1024, 30000)
    testbed.remote.run("drop_every", 1, silent)
    testbed.afterwards(testbed.remote.run, "drop_every", 0, silent)
    testbed.remote.run("listen", "0.0.0.0", port, 64)
    for worker in senders:
        testbed.connect_to_remote(worker, [(None, rng.choice(REMOTES[:10]), port)])
        worker.run("keep_sending", 0, 2000, 0.01)
    testbed.remote.run("keep_discarding")
    culprit.run("start_connecting", silent, port, 60)
    testbed.first_check(LOSS_LIMITS | {"retransmit_threshold_percent": 0.01})
    testbed.wait(1.2)  # a SYN is sent again after a second
    return [Expected("TCP retransmits", ("to", f"{silent}:{port}", "by", text_of(culprit)))]


def _syn_flood(testbed, rng, *, cookies):
    culprit, port, network = rng.choice(testbed.workers), rng.randrange(1024, 30000), rng.randrange(1, 250)
    testbed.sysctl("ipv4/tcp_syncookies", "1" if cookies else "0", "1")
    testbed.add_background(rng, rng.randrange(5, 20))
    culprit.run("listen", HOST, port, rng.randrange(40, 100))
    sources = [f"10.66.{network}.{n}" for n in range(1, 251)]
    limits = LOSS_LIMITS if cookies else LOSS_LIMITS | {"listen_drop_threshold_per_sec": 0}
    testbed.first_check(limits | {"conn_threshold": 10_000})
    testbed.remote.run("keep_sending_syns", sources, HOST, port, 0.0005)
    testbed.wait(LOSS_S)
    return culprit, port, f"10.66.{network}.0/24"


def _send_to_peers(testbed, rng, *, lossy_before=False):
    """Workers send to peers of their own; a third of the packets to the first one gets lost."""
    culprit, *senders = rng.sample(testbed.workers, GOOD_PEERS + 1)
    bad, *good = rng.sample(REMOTES[:20], 4) + SECOND_REMOTES[: GOOD_PEERS - 3]
    port = rng.randrange(1024, 30000)
    testbed.remote.run("listen", "0.0.0.0", port, 64)
    for worker, peer in zip((culprit, *senders), (bad, *good), strict=True):
        testbed.connect_to_remote(worker, [(None, peer, port)])
    testbed.remote.run("keep_discarding")
    for worker in (culprit, *senders):
        worker.run("keep_sending", 0, 10_000, 0.01)
    if lossy_before:
        testbed.remote.run("drop_every", 3, good[0])
        time.sleep(2 * LOSS_S)
        testbed.remote.run("drop_every", 0, good[0])
        time.sleep(LOSS_S)  # what is lost by now is sent again
    testbed.remote.run("drop_every", 3, bad)
    testbed.afterwards(testbed.remote.run, "drop_every", 0, bad)
    return culprit, bad, port


def wait_for_resent(testbed, address):
    """Let the window last until enough segments were sent again: that takes longer on a slow machine."""

    def resent():
        shown = testbed.network.host.tool("ss", "-Htin", "dst", address)
        return sum(map(int, re.findall(r" retrans:\d+/(\d+)", shown)))

    before, deadline_s = resent(), time.monotonic() + MAX_LOSS_S
    while resent() < before + 2 * MIN_SEGMENTS and time.monotonic() < deadline_s:
        time.sleep(0.05)
    testbed.wait(2 * LOSS_S)


SITUATIONS = (
    overflow,
    syn_flood_with_cookies,
    syn_flood_without_cookies,
    udp_overflow,
    one_peer_loses,
    one_peer_is_lost_among_good_ones,
    no_answer,
)
