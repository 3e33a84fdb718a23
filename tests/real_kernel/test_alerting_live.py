"""Alerts about links on a real kernel that go down, flap and are removed, in network namespaces."""

import re
import time
from dataclasses import replace

import pytest

from network_health import Monitor, Settings
from network_health.sources.linux.rtnetlink import LinkReader
from network_health.sources.readers import PORTABLE, available_readers
from tests.netns import veth

pytestmark = pytest.mark.root

QUIET = "Network health within normal bounds."
# A link that loses its carrier drops the packets in its queue, for example of neighbour discovery.
CONFIG = {"report_on": "change", "packet_error_percent": 100}
READERS = pytest.mark.parametrize(
    "readers", [available_readers, lambda: (PORTABLE,)], ids=["system", "psutil"]
)


def by_netlink():
    """psutil's readers, but the kernel's own for links: it has carrier changes and kinds."""
    return (replace(PORTABLE, links=LinkReader().read),)


def watch(namespace, readers, *steps):
    """Details and due of a check in the namespace before, and of one after each step outside of it."""

    def inside():
        monitor = Monitor(Settings.from_mapping(CONFIG), readers=readers())
        reports = [monitor.check()]
        for step in steps:
            step()
            reports.append(monitor.check())
        return [(report.details, report.due) for report in reports]

    return namespace.call(inside)


def settles(namespace, name, state):
    """Wait for the operational state: the kernel delays carrier changes for up to a second."""
    deadline = time.monotonic() + 60
    while namespace.links()[name]["operstate"] != state:
        assert time.monotonic() < deadline, f"{name} is not {state}"
        time.sleep(0.02)


def recovery(details):
    """The details without the duration, which varies."""
    return details.partition(" after ")[0]


@READERS
def test_a_veth_taken_down_is_one_warning_and_one_recovery(namespace, readers):
    """A link that is set down is reported once in the next check, and its recovery once."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")
    down = lambda: near.ip("link", "set", "va", "down")  # noqa: E731 - a table of steps
    up = lambda: (near.ip("link", "set", "va", "up"), settles(near, "va", "UP"))  # noqa: E731 - a step of such a table
    still = lambda: None  # noqa: E731 - a step of such a table
    seen = watch(near, readers, down, still, up, still)
    assert [(recovery(details), due) for details, due in seen] == [
        (QUIET, True),
        ("va is down", True),
        ("va is down", False),
        (f"{QUIET} Recovered: va link", True),
        (QUIET, False),
    ]


@READERS
def test_a_link_without_carrier_is_down(namespace, readers):
    """If the peer goes down, this end has no carrier, and is down although its own flag is up."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")

    def remove_carrier():
        far.ip("link", "set", "vb", "down")
        settles(near, "va", "DOWN")

    assert watch(near, readers, remove_carrier) == [(QUIET, True), ("va is down", True)]


def test_a_flapping_veth_is_one_finding(namespace):
    """Ten flaps within and across checks are one report, with the kernel's count of carrier changes."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")
    cached = LinkReader()

    def changes(reader):
        (link,) = [link for link in reader.read().links if link.name == "va"]
        return link.carrier_changes

    def flap(times):
        for _ in range(times):
            far.ip("link", "set", "vb", "down")
            far.ip("link", "set", "vb", "up")
        deadline = time.monotonic() + 60  # the kernel announces a burst of changes within a second
        while changes(cached) != changes(LinkReader()):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    before = near.call(lambda: changes(LinkReader()))
    steps = (lambda: changes(cached), lambda: flap(3), lambda: flap(4), lambda: flap(3))
    seen = watch(near, by_netlink, *steps)
    flapped = near.call(lambda: changes(LinkReader())) - before
    assert flapped == 20
    assert [due for _, due in seen] == [True, False, True, False, False]
    assert seen[-1][0].startswith(f"va is flapping: {flapped} carrier changes in ")
    assert all(details.startswith("va is flapping: ") for details, _ in seen[2:])


@READERS
def test_a_removed_veth_is_not_reported(namespace, readers):
    """Virtual links can be added and removed without an alert."""
    near, far = namespace(), namespace()
    veth(near, far)
    settles(near, "va", "UP")
    assert watch(near, readers, lambda: near.ip("link", "del", "va")) == [(QUIET, True), (QUIET, False)]


@READERS
def test_a_link_of_unknown_operational_state_is_up(namespace, readers):
    """The state of loopback is never "up", but it can be set down."""
    near = namespace()
    assert near.links()["lo"]["operstate"] == "UNKNOWN"
    down = lambda: near.ip("link", "set", "lo", "down")  # noqa: E731 - a step of such a table
    assert watch(near, readers, lambda: None, down) == [(QUIET, True), (QUIET, False), ("lo is down", True)]


def test_sixty_links_of_a_container_host_are_one_sentence(namespace):
    """They go down together and recover together; the names are those of the kernel's order."""
    near, far = namespace(), namespace()
    every = "for n in $(seq 60); do echo"
    near.tool("sh", "-c", f"({every} link add veth$n type veth peer name p$n; done) | ip -batch -")
    near.tool(
        "sh", "-c", f"({every} link set p$n netns {far.name}; echo link set veth$n up; done) | ip -batch -"
    )

    def set_all(change, up):
        far.tool("sh", "-c", f"({every} link set p$n {change}; done) | ip -batch -")
        deadline = time.monotonic() + 60
        while sum(link["operstate"] == "UP" for link in near.links().values()) != up:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    set_all("up", 60)
    seen = watch(near, available_readers, lambda: set_all("down", 0), lambda: set_all("up", 60))
    assert seen[0] == (QUIET, True)
    first = re.fullmatch(r"60 veth links are down: (veth\d+, veth\d+, veth\d+) \(57 more\)", seen[1][0])[1]
    assert recovery(seen[2][0]) == f"{QUIET} Recovered: 60 veth links ({first}, 57 more)"
