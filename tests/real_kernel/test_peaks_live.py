"""Bursts between two checks, on a real kernel in network namespaces."""

import os
import re
import socket
import threading
import time

import pytest

from network_health import Monitor, Settings
from tests.netns import veth
from tests.real_kernel.paced import PORT, listening

pytestmark = pytest.mark.root

LIMIT_MBPS = 4
WINDOW_S = 18
BURST_S = 1.5


def burst(sender):
    """Send at ten times the limit for `BURST_S`; returns the megabits sent."""
    sent, started_s = 0, time.monotonic()
    while (passed_s := time.monotonic() - started_s) < BURST_S:
        while sent < passed_s * 10 * LIMIT_MBPS * 1e6 / 8:
            sent += sender.send(bytes(1 << 14))
        time.sleep(0.005)
    return sent * 8 / 1e6


def watched(*bases):
    """The reports of monitors with these values of ``rate_basis``, the megabits of a burst, and its pid."""
    limits = {"tx_threshold_mbps": LIMIT_MBPS, "rx_threshold_mbps": 10**6}
    monitors = [Monitor(Settings(rate_basis=basis, **limits)) for basis in bases]
    for monitor in monitors:
        monitor.check()
    sent, sender = [], socket.create_connection(("10.77.0.2", PORT))
    traffic = threading.Thread(target=lambda: (time.sleep(7.3), sent.append(burst(sender))))
    traffic.start()
    end_s = time.monotonic() + WINDOW_S
    while (left_s := end_s - time.monotonic()) > 0:
        for monitor in monitors:
            monitor.sample()
        time.sleep(min(left_s, 1))
    traffic.join()
    return [monitor.check().as_content() for monitor in monitors], sent[0], os.getpid()


def test_a_burst_between_two_checks(namespace):
    """At ten times the limit for 1.5 s: within the limit on average, far above it in its highest second."""
    near, far = namespace(), namespace()
    veth(near, far)
    with listening(far):
        contents, sent_mbit, pid = near.call(watched, "average", "peak")
    links = [
        next(each for each in content["metrics"]["interfaces"] if each["iface"] == "va")
        for content in contents
    ]
    for link in links:
        assert link["tx_rate_mbps"] == pytest.approx(sent_mbit / WINDOW_S, rel=0.1)
        assert link["tx_rate_mbps"] < LIMIT_MBPS < sent_mbit / 4 < link["tx_peak_mbps"] < sent_mbit
    by_average, by_peak = (content["details"] for content in contents)
    sentence, _, clause = by_peak.partition(" (")
    assert by_average == "Network health within normal bounds."
    assert sentence == f"va outbound peak {links[1]['tx_peak_mbps']} Mbps > {LIMIT_MBPS} Mbps"
    assert re.fullmatch(rf"\d+% by \S+\[{pid}\] to 10.77.0.2:{PORT}, of all bytes in \d+ s\)", clause)
