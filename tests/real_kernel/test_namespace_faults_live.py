"""Other network namespaces that end while they are read, or that cannot be seen or entered.

Each fault is a smaller report that says what is missing, never a failed check.
"""

import os
import re
import signal
import threading
import time

import pytest

from network_health import Monitor, Settings
from network_health.attribution import namespace_lookups
from tests.containers import container
from tests.netns import behind_a_host, run
from tests.real_kernel.paced import Sender, listening, lookups, started
from tests.scenarios.viewers import in_a_pid_namespace, with_hidden_processes
from tests.seccomp import SETNS, deny

pytestmark = pytest.mark.root

REFUSED = (
    "PermissionError: [Errno 1] Operation not permitted "
    "(setns needs CAP_SYS_ADMIN, and seccomp must allow it)"
)
SETTINGS = Settings.from_mapping({"rx_threshold_mbps": 1, "tx_threshold_mbps": 10**6})


@pytest.fixture
def routed(namespace):
    """A host that forwards for a container."""
    return behind_a_host(namespace)


def finding_of_veth(prepare=lambda: None, meanwhile=lambda: None):
    """The sentence about v-box in a second check, and what the report says is missing."""
    prepare()
    monitor = Monitor(SETTINGS)
    time.sleep(0.3)
    monitor.check()
    time.sleep(0.3)
    other = threading.Timer(0.4, meanwhile)
    other.start()
    content = monitor.check().as_content()
    other.join()
    metrics = content["metrics"]
    (sentence,) = [each for each in content["details"].split("; ") if each.startswith("v-box ")]
    return (
        sentence.partition(" Mbps")[2],
        content["status"],
        metrics.get("failures", []),
        metrics.get("culprits", {}).get("failure", ""),
    )


def test_setns_is_refused(routed):
    """A seccomp filter refuses setns(2), as in a container: the rate is reported, with the reason.

    Only that it is forwarded can be known from here.
    """
    host, outside, box = routed
    with listening(outside), started(box, Sender("backup", "10.8.0.2", 20).run):
        found = host.call(finding_of_veth, lambda: deny(SETNS))
    assert re.fullmatch(r" > 1 Mbps( \(\d+% of packets forwarded\))?", found[0])
    assert found[1:-1] == ("network_issue", [])
    assert found[-1] == f"rx_rate: {REFUSED}"


def test_a_refusal_is_kept(routed):
    """Until the rate has changed by a fifth nothing is read for its culprit; each report has the reason."""
    host, outside, box = routed

    def watch():
        deny(SETNS)
        sampled = []
        sample_together = namespace_lookups.sample_together
        namespace_lookups.sample_together = lambda *args, **more: (
            sampled.append(args) or sample_together(*args, **more)
        )
        monitor = Monitor(SETTINGS)
        seen = []
        for _ in range(3):
            time.sleep(0.4)
            content = monitor.check().as_content()
            rate = float(re.search(r" inbound ([\d.]+) Mbps", content["details"])[1])
            seen.append((rate, len(sampled), content["metrics"]["culprits"]["failure"]))
        return zip(*seen, strict=True)

    with listening(outside), started(box, Sender("backup", "10.8.0.2", 20).run):
        time.sleep(0.5)
        rates, sampled, failures = host.call(watch)
    assert list(sampled) == lookups(rates)
    assert set(failures) == {f"rx_rate: {REFUSED}"}


def limited(name, value):
    """The host's own sender and that of a container, both named if there is time; ``name`` is a limit."""

    def look_up():
        setattr(namespace_lookups, name, value)
        monitor = Monitor(Settings.from_mapping({"rx_threshold_mbps": 1, "tx_threshold_mbps": 1}))
        time.sleep(0.5)
        content = monitor.check().as_content()
        return content["details"], content["metrics"]["culprits"]["failure"]

    return look_up


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("_MAX_S", 0.5, ", other network namespaces: TimeoutError: no answer within 0.5 s"),
        ("_READ_S", 0.5, ": TimeoutError: not all sockets were read in time"),
        ("_LATEST_S", 0.0, ": no time was left to look into other network namespaces"),
    ],
)
def test_other_namespaces_take_too_long(routed, limit, value, reason):
    """The answer of the host's own sockets is reported, and what is missing."""
    host, outside, box = routed
    senders = (
        started(box, Sender("backup", "10.8.0.2", 10).run),
        started(host, Sender("own", "10.9.0.2", 20).run),
    )
    with listening(outside, box), senders[0], senders[1]:
        time.sleep(0.5)
        details, failure = host.call(limited(limit, value))
    assert re.search(r"v-box outbound [\d.]+ Mbps > 1 Mbps \(\d+% by own\[\d+\] to 10.9.0.2:5000", details), (
        details
    )
    assert "backup" not in details
    assert failure.endswith(reason), failure


def test_a_container_ends_while_it_is_sampled(routed):
    """Its process and its namespace are gone in the middle: it is named by its last bytes, or nobody is."""
    host, outside, box = routed

    def end():
        run("umount", "--lazy", f"/run/netns/{box.name}")
        os.kill(sender, signal.SIGKILL)

    with listening(outside), started(box, Sender("backup", "10.8.0.2", 20).run):
        while not (pids := run("ip", "netns", "pids", box.name).split()):  # it has not entered yet
            time.sleep(0.01)
        (sender,) = map(int, pids)
        clause, *rest = host.call(finding_of_veth, lambda: None, end)
    named = rf" \(\d+% by backup\[{sender}\] in namespace {box.name} to 10.8.0.2:5000\)"
    assert re.fullmatch(rf" > 1 Mbps({named})?", clause), clause
    assert rest[:2] == ["network_issue", []]
    deadline_s = time.monotonic() + 60
    while "v-box" in host.links():  # the kernel takes a namespace apart a moment later
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("view", "note"),
    [
        (
            with_hidden_processes,
            "hidepid hides the processes of other users, whose network namespaces are not counted: "
            "that needs CAP_SYS_PTRACE",
        ),
        (
            in_a_pid_namespace,
            "the agent is in a pid namespace: network namespaces of processes outside of it are not counted",
        ),
    ],
)
def test_hidden_processes(namespace, view, note):
    """Where no process of others is visible, no container is counted, and the report says why."""
    with container(connections=40):
        content = namespace().call(view, {"container_conn_threshold": 50})
    metrics = content["metrics"]
    assert (content["status"], metrics.get("namespaces"), metrics["namespaces_note"]) == (
        "healthy",
        None,
        note,
    )
