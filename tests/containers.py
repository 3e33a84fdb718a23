"""Containers for tests: a process with its own network, in a cgroup that is named as a runtime names it."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: Enters a cgroup, opens sockets, and waits. Each connection has both of its ends here.
_HOLD = """
import json, socket, subprocess, sys, time
procs, connections, datagrams = json.loads(sys.argv[1])
if procs:
    open(procs, "w").write("0")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = socket.create_server(("127.0.0.1", 8080), backlog=1000)
held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(datagrams)]
for each in held:
    each.bind(("127.0.0.1", 0))
for _ in range(connections):
    held += [socket.create_connection(server.getsockname()), server.accept()[0]]
print("ready", flush=True)
time.sleep(600)
"""


def docker():
    """The id of a new container, and the cgroup that Docker gives to it."""
    number = secrets.token_hex(32)
    return number[:12], f"docker/{number}"


def podman():
    """The same for Podman."""
    number = secrets.token_hex(32)
    return number[:12], f"machine.slice/libpod-{number}.scope/container"


def kubelet():
    """The uid of a new pod, and the cgroup that the kubelet gives to a container in it."""
    uid = "-".join(secrets.token_hex(size) for size in (4, 2, 2, 2, 6))
    return uid, f"kubepods/besteffort/pod{uid}/{secrets.token_hex(32)}"


@contextlib.contextmanager
def container(cgroup=None, connections=0, datagrams=0, veth=None):
    """A process that listens on port 8080, with 2 * ``connections`` TCP and ``datagrams`` UDP sockets.

    ``veth`` is the name of the veth interface that leads to it from the network of the caller.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(new_cgroup(cgroup)) if cgroup else None
        options = json.dumps([folder and f"{folder}/cgroup.procs", connections, datagrams])
        command = ["unshare", "--net", sys.executable, "-c", _HOLD, options]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(process.kill)
        assert process.stdout.readline() == b"ready\n"
        if veth:
            peer = ["peer", "name", "eth0", "netns", str(process.pid)]
            subprocess.run(["ip", "link", "add", veth, "type", "veth", *peer], check=True)
        yield process


@contextlib.contextmanager
def new_cgroup(path):
    """A new cgroup; the folders that had to be made for it are removed in the end."""
    tops = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")
    top = next((each for each in tops if (each / "cgroup.controllers").exists()), None)
    if top is None or not os.access(top, os.W_OK):
        pytest.skip("no cgroup can be made here")
    made = []
    for folder in reversed([top / path, *(top / path).parents]):
        if not folder.exists():
            folder.mkdir()
            made.append(folder)
    try:
        yield top / path
    finally:
        for folder in reversed(made):
            _remove(folder)


def _remove(folder):
    """The kernel lets a cgroup be removed a moment after its last process has ended."""
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except OSError:
            if any(each.is_dir() for each in folder.iterdir()):  # another test has a cgroup in it
                return
            time.sleep(0.02)
