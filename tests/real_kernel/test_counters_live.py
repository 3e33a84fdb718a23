"""Errors, rates and alerts over a restart on a real kernel, in network namespaces."""

import contextlib
import json
import socket
import time

import pytest

from network_health import Monitor, Settings
from network_health.delivery.saved_state import SavedState
from network_health.export.metric_families import exposition
from tests.netns import rename, run, veth

pytestmark = pytest.mark.root

QUIET = "Network health within normal bounds."
#: A multicast frame of a type that nobody listens to: the other end counts one rx_dropped for each.
UNWANTED = b"\1" + b"\xff" * 5 + b"\2" * 6 + b"\x88\x99" + bytes(50)


#: A frame that is larger than the MTU of the other end: this end counts one tx_dropped for each.
LARGE = UNWANTED + bytes(1000)


def send_frames(device, frame, count):
    """Send raw frames from the namespace of this process."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((device, 0))
        for _ in range(count):
            with contextlib.suppress(OSError):  # the kernel says that a large one was dropped
                sender.send(frame)
    time.sleep(0.1)


def pair(near, name, far, other):
    """Join two namespaces by a veth pair without addresses, whose ends are up; ``other`` takes 600 bytes."""
    near.ip("link", "add", name, "type", "veth", "peer", "name", other, "netns", far.name)
    near.ip("link", "set", name, "up")
    far.ip("link", "set", other, "mtu", "600", "up")


def without_culprits(report):
    """The details without the kinds of errors."""
    return report.details.replace(" (tx_dropped)", "")


def test_only_errors_since_the_previous_check_are_new(namespace):
    """Whatever name an interface gets, and wherever it comes from; those of a created one are all new."""
    near, far, container = namespace(), namespace(), namespace()
    pair(near, "eth0", far, "p0")
    pair(container, "eth1", far, "p1")
    time.sleep(0.5)
    near.call(send_frames, "eth0", LARGE, 40)
    container.call(send_frames, "eth1", LARGE, 30)

    def watch():
        monitor = Monitor(Settings())
        details = [monitor.check(), monitor.check()]
        rename("eth0", "lan0")
        details.append(monitor.check())
        run("ip", "-n", container.name, "link", "set", "eth1", "netns", near.name)
        details.append(monitor.check())
        run("ip", "link", "set", "eth1", "up")
        send_frames("eth1", LARGE, 3)
        details.append(monitor.check())
        pair(near, "new0", far, "p2")
        send_frames("new0", LARGE, 2)
        details.append(monitor.check())
        return [without_culprits(each).partition(" Recovered")[0] for each in details]

    assert near.call(watch) == [
        "eth0 errors: TX=0 RX=0 drops=40 (since boot)",
        QUIET,
        QUIET,
        QUIET,
        "eth1 errors: TX=0 RX=0 drops=3",
        "new0 errors: TX=0 RX=0 drops=2",
    ]


def test_a_link_that_is_down_stays_down_over_a_restart(namespace, tmp_path):
    """Its alert keeps its age and its count, is not logged as new, and its end is reported."""
    near, far = namespace(), namespace()
    veth(near, far)
    settings = Settings.from_mapping({"critical_after_checks": 3, "packet_error_percent": 100})

    def settle(state):
        deadline = time.monotonic() + 60
        while near.links()["va"]["operstate"] != state:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def one_process(boot="boot"):
        saved = SavedState(tmp_path / "state.json", boot, pytest.fail)
        monitor = Monitor(settings, saved=saved.load())
        time.sleep(0.1)
        report = monitor.check()
        saved.save(monitor.state)
        return report

    def watch():
        settle("UP")
        seen = [one_process()]
        far.ip("link", "set", "vb", "down")
        settle("DOWN")
        seen += [one_process(), one_process(), one_process(boot="next boot")]
        far.ip("link", "set", "vb", "up")
        settle("UP")
        return [*seen, one_process(boot="next boot")]

    seen = near.call(watch)
    assert [(report.severity, report.changes) for report in seen[:4]] == [
        ("INFO", ()),
        ("WARNING", ("WARNING: va is down",)),
        ("WARNING", ()),
        ("CRITICAL", ("CRITICAL: va is down",)),
    ]
    ages = [report.metrics["alerts"][0]["lasted_s"] for report in seen[1:4]]
    assert ages[0] == 0.0
    assert 0.1 <= ages[1] < 10
    assert ages[2] >= time.monotonic() - 10  # by the wall clock the new boot is older than the saved state
    assert seen[4].details.startswith(f"{QUIET} Recovered: va link after ")


def test_a_link_that_goes_down_while_the_host_is_off_is_reported(namespace, tmp_path):
    """After the boot its index is another one."""
    near, far = namespace(), namespace()
    veth(near, far)

    def before():
        time.sleep(0.5)
        monitor = Monitor(Settings())
        monitor.check()
        SavedState(tmp_path / "state.json", "boot", pytest.fail).save(monitor.state)

    def after():
        saved = SavedState(tmp_path / "state.json", "next boot", pytest.fail)
        return Monitor(Settings.from_mapping({"packet_error_percent": 100}), saved=saved.load()).check()

    near.call(before)
    near.ip("link", "del", "va")
    near.ip("link", "add", "filler", "type", "bridge")
    veth(near, far)
    far.ip("link", "set", "vb", "down")
    time.sleep(1.2)
    assert near.call(after).details == "va is down"


def test_the_rate_of_a_new_interface_is_not_exported(namespace):
    """It is not known in the first check that sees it: the report's 0 is marked, and there is no sample."""
    near, far = namespace(), namespace()

    def watch():
        monitor = Monitor(Settings())
        monitor.check()
        veth(near, far)
        time.sleep(0.2)
        first = monitor.check()
        time.sleep(0.2)
        return first, monitor.check()

    def samples(report):
        lines = exposition(report).decode().splitlines()
        rate = "network_health_interface_transmit_bytes_per_second"
        return [line.split()[0] for line in lines if line.startswith(rate + "{")]

    def unknown(report):
        return {i["iface"]: i.get("unknown") for i in report.metrics["interfaces"]}

    first, second = near.call(watch)
    assert unknown(first) == {"lo": None, "va": ["tx_rate_mbps", "rx_rate_mbps"]}
    assert samples(first) == [
        'network_health_interface_transmit_bytes_per_second{device="lo",kind="loopback"}'
    ]
    assert unknown(second) == {"lo": None, "va": None}
    assert len(samples(second)) == 2
    json.dumps(first.as_content(), allow_nan=False)


def test_frames_of_a_protocol_that_nobody_listens_to_are_no_warning(namespace):
    """The kernel counts each as received and dropped: the report has them, and no share of a direction."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch(sent, frames, percent):
        monitor = Monitor(Settings.from_mapping({"packet_error_percent": percent}))
        monitor.skip_earlier_errors()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(sent):
                sender.sendto(b"x", ("10.77.0.2", 9))
        far.call(send_frames, "vb", UNWANTED, frames)
        report = monitor.check()
        (va,) = [each for each in report.metrics["interfaces"] if each["iface"] == "va"]
        counted = va["new_drops"], va["new_rx_dropped"], va["rx_nohandler"]
        return report.severity, counted, " of received packets" in report.details

    quiet = "INFO", (15, 15, 0), False
    assert [near.call(watch, sent, 15, percent) for sent in (120, 9000) for percent in (0, 2)] == [quiet] * 4
    assert near.call(watch, 9000, 150, 2) == ("WARNING", (150, 150, 0), True)
