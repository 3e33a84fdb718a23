"""Errors of network cards with a driver of their own, in the emulated machine of ``make kernels``."""

import re
import time

import pytest

from network_health import Monitor, Settings
from tests.isolated import outside
from tests.netns import run
from tests.real_kernel.test_counters_live import UNWANTED, send_frames

pytestmark = pytest.mark.root

DRIVERS = 'for card in /sys/class/net/*/device; do echo "$card $(readlink -f "$card/driver")"; done'
#: Longer than the receiving card takes, which counts an error for each.
COUNT, TOO_LONG = 25, UNWANTED + bytes(4000)


def card(driver):
    """The name of the machine's card with this driver."""
    found = re.search(rf"/net/(\S+)/device \S+/{driver}$", run(*outside("/"), "sh", "-c", DRIVERS), re.M)
    if not found:
        pytest.skip(f"this machine has no network card with the driver {driver}")
    return found[1]


def move(name, namespace):
    """Take a card out of the machine's own namespace; it returns there when the namespace ends."""
    run("nsenter", "--net=/proc/1/fd/9", "ip", "link", "set", name, "netns", namespace.name)
    namespace.ip("link", "set", name, "up")


def test_frames_that_are_too_long(namespace):
    """The receiving card drops them: its report has as many errors as ``ip`` shows, the sender's has none."""
    sending, receiving = card("virtio_net"), card("e1000")
    sender, receiver = namespace(), namespace()
    move(sending, sender)
    move(receiving, receiver)
    sender.ip("link", "set", sending, "mtu", "9000")
    deadline_s = time.monotonic() + 60
    while receiver.links()[receiving]["operstate"] != "UP" and time.monotonic() < deadline_s:
        time.sleep(0.1)

    def watch():
        with Monitor(Settings()) as monitor:
            monitor.check()
            sender.call(send_frames, sending, TOO_LONG, COUNT)
            time.sleep(3)  # the driver reads the card's counters every two seconds
            return monitor.check()

    before = receiver.links()[receiving]["stats64"]["rx"]["errors"]
    report = receiver.call(watch)
    errors = receiver.links()[receiving]["stats64"]["rx"]["errors"] - before
    assert errors == COUNT
    assert report.details.startswith(f"{receiving} errors: TX=0 RX={COUNT} drops=0")
