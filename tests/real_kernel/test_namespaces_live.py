"""Containers on the real kernel: their connections, their names and their end."""

import contextlib
import ctypes
import os
import signal
import socket
import time

import pytest

from network_health import Monitor, Settings
from tests.containers import container, docker, kubelet, podman
from tests.netns import CLONE_NEWNET

pytestmark = pytest.mark.root

SETTINGS = Settings.from_mapping({"container_conn_threshold": 50, "report_on": "change"})


def entry(process, name, connections, datagrams, veth, **places):
    """What ``metrics.namespaces`` has for a container, without its inode."""
    tcp = 2 * connections + 1
    return {
        "name": name,
        "pid": process.pid,
        "process": "python",
        **places,
        "connections": tcp + datagrams,
        "tcp": tcp,
        "udp": datagrams,
        "veths": [veth],
    }


def of_containers(details):
    """The sentences of a report, but for that about the namespace of all tests, which others have used."""
    return [sentence for sentence in details.split("; ") if "in namespace of python[1]: " not in sentence]


def test_containers_have_their_connections_names_and_veths(namespace):
    """Cgroups as Docker, Podman and the kubelet name them. The host's own connections stay its own."""

    def watch():
        (one, of_docker), (two, of_podman), (pod, of_kubelet) = docker(), podman(), kubelet()
        host = socket.create_server(("127.0.0.1", 0))
        with host, contextlib.ExitStack() as stack:
            monitor = Monitor(SETTINGS)
            first = stack.enter_context(container(of_docker, 40, 3, "v-docker"))
            second = stack.enter_context(container(of_podman, 10, 2, "v-podman"))
            third = stack.enter_context(container(of_kubelet, 30, 0, "v-pod"))
            report = monitor.check()
        digits = of_kubelet.rpartition("/")[2][:12]
        unit = f"libpod-{of_podman.partition('libpod-')[2].partition('/')[0]}"
        assert unit.startswith(f"libpod-{two}")
        expected = [
            entry(first, f"container {one}", 40, 3, "v-docker", container=one),
            entry(third, f"pod {pod}", 30, 0, "v-pod", container=digits, pod=pod),
            entry(second, f"container {two}", 10, 2, "v-podman", container=two),
        ]
        details = [
            f"High connection count in container {one}: 84 > 50 (96% on :8080 owned by python[{first.pid}])",
            f"High connection count in pod {pod}: 61 > 50 (100% on :8080 owned by python[{third.pid}])",
        ]
        return report.as_content(), expected, details

    content, expected, details = namespace().call(watch)
    metrics = content["metrics"]
    pids = {each["pid"] for each in expected}
    found = [each for each in metrics["namespaces"] if each["pid"] in pids]
    assert [{key: value for key, value in each.items() if key != "inode"} for each in found] == expected
    assert metrics["total_connections"] == 1
    assert of_containers(content["details"]) == details


def test_a_container_that_ends_is_gone_at_once(namespace):
    """Its veth is gone within a second, although its alert is active and was looked up."""

    def watch():
        name, cgroup = docker()
        monitor = Monitor(SETTINGS)
        with container(cgroup, 40, veth="v-web") as process:
            before = [monitor.check().details.replace(str(process.pid), "PID") for _ in range(3)]
        ended_s = time.monotonic()
        while "v-web" in [link for _, link in socket.if_nameindex()]:
            time.sleep(0.01)
            assert time.monotonic() < ended_s + 60
        gone_after_s = time.monotonic() - ended_s
        after = monitor.check()
        ended = [(each["subject"], each["reason"]) for each in after.metrics["ended"]]
        left = [each["name"] for each in after.metrics.get("namespaces", ())]
        return name, before, gone_after_s, ended, f"container {name}" in left

    name, before, gone_after_s, ended, is_left = namespace().call(watch)
    sentence = f"High connection count in container {name}: 81 > 50 (100% on :8080 owned by python[PID])"
    assert [of_containers(details) for details in before] == [[sentence]] * 3
    assert (ended, is_left) == ([(f"container {name}", "gone")], False)
    assert gone_after_s < 1


def test_namespaces_off_counts_nothing(namespace):
    """With the setting "off" there are no metrics, no finding, and no reading."""

    def watch():
        monitor = Monitor(Settings.from_mapping({"container_conn_threshold": 0, "namespaces": "off"}))
        with container(connections=1):
            report = monitor.check()
        return (
            report.status,
            "namespaces" in report.metrics,
            "namespaces" in report.metrics["check"]["readers"],
        )

    assert namespace().call(watch) == ("healthy", False, False)


def test_a_user_cannot_take_the_name_of_a_container(namespace):
    """Neither by a cgroup with its id, nor by another namespace in the container; its alert goes on."""

    def watch():
        name, cgroup = docker()
        forged = f"user.slice/user-7.slice/user@7.service/{cgroup}"
        monitor = Monitor(SETTINGS)
        with contextlib.ExitStack() as stack:
            stack.enter_context(container(forged, 45))
            stack.enter_context(container(cgroup, 40))
            first = monitor.check()
            inner = stack.enter_context(container(f"{cgroup}/inner", 42))
            second = monitor.check()
            inode = os.stat(f"/proc/{inner.pid}/ns/net").st_ino
        ended = [each["subject"] for each in second.metrics.get("ended", ())]
        return name, inode, of_containers(first.details), of_containers(second.details), ended

    name, inode, first, second, ended = namespace().call(watch)
    assert [each.partition(": ")[0] for each in first] == [
        f"High connection count in container {name} of user 7",
        f"High connection count in container {name}",
    ]
    assert [each.partition(" > ")[0] for each in second] == [
        f"High connection count in container {name} of user 7: 91",
        f"High connection count in container {name} ({inode}): 85",
        f"High connection count in container {name}: 81",
    ]
    assert ended == []


def test_a_process_cannot_make_a_sentence_of_its_own(namespace):
    """The name of a process that names its namespace has no semicolon in a report, which ends a sentence."""

    def hold():
        libc = ctypes.CDLL(None)
        assert libc.unshare(CLONE_NEWNET) == 0
        assert libc.prctl(15, b"a; eth0 is down") == 0  # PR_SET_NAME
        return [socket.create_server(("", 0)) for _ in range(51)]

    def watch():
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            held = hold()
            os.write(write_end, b"x")
            time.sleep(600 + len(held))
        os.read(read_end, 1)
        try:
            return child, of_containers(Monitor(SETTINGS).check().details)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    pid, details = namespace().call(watch)
    owner = f"a, eth0 is down[{pid}]"
    assert details == [f"High connection count in namespace of {owner}: 51 > 50 (100% owned by {owner})"]


def test_without_rights_the_connections_are_counted_without_a_culprit(namespace):
    """Without CAP_SYS_ADMIN no namespace is entered; the report says why, and has the counts."""

    def watch():
        monitor = Monitor(SETTINGS)
        with container(connections=40) as process:
            assert drop_admin() == 0
            report = monitor.check()
        label = f"namespace of python[{process.pid}]"
        sentence = f"High connection count in {label}: 81 > 50"
        return of_containers(report.details) == [sentence], report.metrics["culprits"]

    is_counted, culprits = namespace().call(watch)
    refused = "Operation not permitted (setns needs CAP_SYS_ADMIN, and seccomp must allow it)"
    reason = f"namespace_connections: PermissionError: [Errno 1] {refused}"
    assert (is_counted, culprits.keys(), {*culprits["failure"].split("; ")}) == (True, {"failure"}, {reason})


def drop_admin():
    """Give up CAP_SYS_ADMIN; see capset(2)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    libc.capget(header, data)
    data[0] &= ~(1 << 21)
    return libc.capset(header, data)
