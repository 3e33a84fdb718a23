"""A real container of Podman, with a root folder that is made here: no image is fetched.

It is skipped where Podman, or what it needs for a network of its own, is not installed, and where it cannot
start a container, because of missing rights or an unusual set-up of cgroups. tests/tools.sh installs it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.netns import run
from tests.real_kernel.paced import PORT, check, clauses, listening

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("podman"), reason="podman is not installed"),
]

CONNECTIONS = 40
#: Opens connections within the container, then sends to another host as soon as there is a network.
PROGRAM = f"""
import socket, time
open("/proc/self/comm", "w").write("backup")
server = socket.create_server(("127.0.0.1", 8080), backlog=100)
held = []
for _ in range({CONNECTIONS}):
    held += [socket.create_connection(server.getsockname()), server.accept()[0]]
while True:
    try:
        end = socket.create_connection(("10.8.0.2", {PORT}), 1)
        break
    except OSError:
        time.sleep(0.05)
while True:
    end.send(bytes(20_000))
    time.sleep(0.01)
"""
#: Sends datagrams to another host.
DATAGRAMS = f"""
import socket, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        end.sendto(bytes(1200), ("10.8.0.2", {PORT}))
    except OSError:
        time.sleep(0.05)
    time.sleep(0.0005)
"""
#: What a host without all rights may set.
LIMITS = "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--pids-limit=0"
#: Makes Podman's bridge and its rules.
NETAVARK = ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark")


@pytest.fixture
def podman(namespace):
    """A host with a link to another one, and a function that runs a command of Podman there."""
    host, outside, wire = namespace(), namespace(), namespace()
    # The link of the host leads to a switch: a namespace without processes, as that of a real host.
    wire.ip("link", "add", "switch", "up", "type", "bridge")
    for port, end, name, address in (("left", host, "eth0", "10.8.0.1"), ("right", outside, "p", "10.8.0.2")):
        end.ip("link", "add", name, "type", "veth", "peer", "name", port, "netns", wire.name)
        end.ip("addr", "add", f"{address}/24", "dev", name)
        end.ip("link", "set", name, "up")
        wire.ip("link", "set", port, "up", "master", "switch")
    options = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--log-level=error"]
    options += ["--runtime=runc"] if shutil.which("runc") else []
    state = tempfile.mkdtemp(prefix="nh")  # Podman wants a short path
    folders = [f"--{name}={state}/{name}" for name in ("root", "runroot", "tmpdir", "network-config-dir")]
    # Not by `ip netns exec`, which hides the cgroups.
    command = ["nsenter", f"--net=/run/netns/{host.name}", "podman", *folders, *options]
    yield host, outside, lambda *words: run(*command, *words).strip()
    subprocess.run([*command, "rm", "--all", "--force", "--time=0"], capture_output=True, check=False)
    remove(state)


def remove(folder):
    """Remove Podman's folder when no process of it is left: the last one tidies up after the container."""
    deadline_s = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", folder], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    shutil.rmtree(folder)


def root_folder(path):
    """A root folder whose programs are the host's, and the options that show them there."""
    for name in ("dev", "etc", "proc", "run", "sys", "tmp", "usr"):
        (path / name).mkdir(parents=True)
    shown = ["/usr"]
    for name in ("bin", "lib", "lib64", "sbin"):
        if os.path.islink(f"/{name}"):
            (path / name).symlink_to(os.readlink(f"/{name}"))
        elif os.path.isdir(f"/{name}"):
            shown.append(f"/{name}")
    if not sys.base_prefix.startswith("/usr"):
        shown.append(sys.base_prefix)
    return [f"--volume={each}:{each}:ro" for each in shown]


def started(call, root, network, program):
    """The id of a new container that runs a program of Python; skips the test where there can be none."""
    if network == "bridge" and not (shutil.which("iptables") and any(map(os.path.exists, NETAVARK))):
        pytest.skip("netavark or iptables is not installed")
    words = ["run", "--detach", f"--network={network}", *LIMITS, *root_folder(root)]
    try:
        return call(*words, "--rootfs", str(root), str(Path(sys.executable).resolve()), "-c", program)
    except AssertionError as error:
        pytest.skip(f"podman cannot start a container here: {str(error).strip().splitlines()[-1]}")


@pytest.mark.parametrize("network", ["none", "bridge"])
def test_a_container_of_podman(podman, tmp_path, network):
    """It has its id, its connections and its veth; its process is named for them and for what it sends."""
    host, outside, call = podman
    with listening(outside):
        number = started(call, tmp_path / "rootfs", network, PROGRAM)
        pid = int(call("inspect", "--format={{.State.Pid}}", number))
        if network == "none":
            connect(host, outside, pid)
        link = wait_for_connection(host, outside, pid)
        content = check(host, [], namespaces="auto", container_conn_threshold=50)
    name, process = f"container {number[:12]}", f"backup[{pid}]"
    (entry,) = [each for each in content["metrics"]["namespaces"] if each["pid"] == pid]
    assert entry | {"inode": 0} == {
        "name": name,
        "inode": 0,
        "pid": pid,
        "process": "backup",
        "container": number[:12],
        "connections": 2 * CONNECTIONS + 2,
        "tcp": 2 * CONNECTIONS + 2,
        "udp": 0,
        "veths": [link],
    }
    assert f"High connection count in {name}: 82 > 50 (99% on :8080 owned by {process})" in content["details"]
    sends = rf"\d+% by {re.escape(process)} in {name} to 10.8.0.2:{PORT}"
    inbound, outbound = clauses(content, "inbound"), clauses(content)
    links = [link] if network == "none" else [link, "podman0"]
    assert {each: bool(re.fullmatch(sends, clause)) for each, clause in inbound.items()} == dict.fromkeys(
        links, True
    )
    assert re.fullmatch(sends, outbound["eth0"])


def test_datagrams_of_a_container_of_podman(podman, tmp_path):
    """The kernel counts no bytes of its socket: its address is named, before Podman's own translation."""
    host, outside, call = podman
    host.sysctl("net.netfilter.nf_conntrack_acct", 1)
    with listening(outside):
        number = started(call, tmp_path / "rootfs", "bridge", DATAGRAMS)
        deadline_s = time.monotonic() + 60
        while f"dport={PORT} " not in host.tool("cat", "/proc/net/nf_conntrack"):
            assert time.monotonic() < deadline_s, "the container sends nothing"
            time.sleep(0.05)
        content = check(host, [], namespaces="auto")
    place = f"container {number[:12]}"
    found = rf"\d+% forwarded from 10\.88\.\d+\.\d+ in {place} to 10\.8\.0\.2:{PORT}"
    assert re.fullmatch(found, clauses(content)["eth0"])
    assert re.fullmatch(found, clauses(content, "inbound")["podman0"])


def connect(host, outside, pid):
    """Give the container of a process a link, and the other host a way to it."""
    host.sysctl("net.ipv4.ip_forward", 1)
    host.ip("link", "add", "v-box", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    host.ip("addr", "add", "10.9.0.1/24", "dev", "v-box")
    host.ip("link", "set", "v-box", "up")
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip"]
    run(*inside, "addr", "add", "10.9.0.2/24", "dev", "eth0")
    run(*inside, "link", "set", "eth0", "up")
    run(*inside, "route", "add", "default", "via", "10.9.0.1")
    outside.ip("route", "add", "10.9.0.0/24", "via", "10.8.0.1")


def wait_for_connection(host, outside, pid):
    """Wait until the container sends; the link of the host that leads to it."""
    deadline_s = time.monotonic() + 60
    while f":{PORT} " not in outside.tool("ss", "-Htn", "state", "established"):
        assert time.monotonic() < deadline_s, f"process {pid} does not connect"
        time.sleep(0.05)
    (link,) = [each for each in host.links() if each.startswith("v")]
    return link
