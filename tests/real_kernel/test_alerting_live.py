"""Alerts about links that a real kernel takes down, flaps and removes, in namespaces of their own."""

import time
from dataclasses import replace

import pytest

from network_health import Monitor, Settings
from network_health.sources.linux.rtnetlink import LinkReader
from network_health.sources.readers import PORTABLE, available_readers
from tests.netns import veth

pytestmark = pytest.mark.root

QUIET = "Network health within normal bounds."
# A link that loses its carrier drops what its host has queued, neighbour discovery for example.
CONFIG = {"report_on": "change", "packet_error_percent": 100}
READERS = pytest.mark.parametrize(
    "readers", [available_readers, lambda: (PORTABLE,)], ids=["system", "psutil"]
)


def by_netlink():
    """The readers with the kernel's own for links, which know carrier changes and kinds."""
    return (replace(PORTABLE, links=LinkReader().read),)


def watch(namespace, readers, *moves):
    """A monitor inside: (details, due) of a check before, and of one after each move made outside."""

    def inside():
        monitor = Monitor(Settings.from_mapping(CONFIG), readers=readers())
        reports = [monitor.check()]
        for move in moves:
            move()
            reports.append(monitor.check())
        return [(report.details, report.due) for report in reports]

    return namespace.call(inside)


def settles(namespace, name, state):
    """Wait until the kernel says so: it lets carrier changes of a link sink in for up to a second."""
    deadline = time.monotonic() + 10
    while namespace.links()[name]["operstate"] != state:
        assert time.monotonic() < deadline, f"{name} is not {state}"
        time.sleep(0.02)


def recovery(details):
    """The details up to the duration, which is the machine's."""
    return details.partition(" after ")[0]


@READERS
def test_a_veth_taken_down_is_one_warning_and_one_recovery(namespace, readers):
    """By its administrator, on this end: told within one check, not again while it lasts, and back once."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")
    down = lambda: near.ip("link", "set", "va", "down")  # noqa: E731 - a table of moves
    up = lambda: (near.ip("link", "set", "va", "up"), settles(near, "va", "UP"))  # noqa: E731 - a move of such a table
    still = lambda: None  # noqa: E731 - a move of such a table
    seen = watch(near, readers, down, still, up, still)
    assert [(recovery(details), due) for details, due in seen] == [
        (QUIET, True),
        ("va is down", True),
        ("va is down", False),
        (f"{QUIET} Recovered: va link", True),
        (QUIET, False),
    ]


@READERS
def test_a_cable_that_is_pulled_is_down_as_well(namespace, readers):
    """The peer goes down, so this end loses its carrier while its own flag says up."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")

    def pull():
        far.ip("link", "set", "vb", "down")
        settles(near, "va", "DOWN")

    assert watch(near, readers, pull) == [(QUIET, True), ("va is down", True)]


def test_a_flapping_veth_is_one_finding(namespace):
    """Ten flaps between and across checks: one report, and the kernel's own count of changes in it."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")
    follower = LinkReader()

    def changes(reader):
        (link,) = [link for link in reader.read().links if link.name == "va"]
        return link.carrier_changes

    def flap(times):
        for _ in range(times):
            far.ip("link", "set", "vb", "down")
            far.ip("link", "set", "vb", "up")
        deadline = time.monotonic() + 10  # the kernel announces a burst of changes within a second
        while changes(follower) != changes(LinkReader()):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    before = near.call(lambda: changes(LinkReader()))
    moves = (lambda: changes(follower), lambda: flap(3), lambda: flap(4), lambda: flap(3))
    seen = watch(near, by_netlink, *moves)
    flapped = near.call(lambda: changes(LinkReader())) - before
    assert flapped == 20
    assert [due for _, due in seen] == [True, False, True, False, False]
    assert seen[-1][0].startswith(f"va is flapping: {flapped} carrier changes in ")
    assert all(details.startswith("va is flapping: ") for details, _ in seen[2:])


@READERS
def test_a_removed_veth_is_neither_down_nor_missed(namespace, readers):
    """Virtual links come and go in silence."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")
    assert watch(near, readers, lambda: near.ip("link", "del", "va")) == [(QUIET, True), (QUIET, False)]


@READERS
def test_a_link_of_unknown_operational_state_is_up(namespace, readers):
    """Loopback never says "up", and yet it can be taken down."""
    near = namespace()
    assert near.links()["lo"]["operstate"] == "UNKNOWN"
    down = lambda: near.ip("link", "set", "lo", "down")  # noqa: E731 - a move of such a table
    assert watch(near, readers, lambda: None, down) == [(QUIET, True), (QUIET, False), ("lo is down", True)]
