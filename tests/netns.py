"""Network namespaces for tests: a host of one's own, with the real kernel's sockets and links."""

import ctypes
import itertools
import json
import os
import pickle
import subprocess
import time
import traceback

from tests.running_kernel import RELEASE

CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


class Namespace:
    """A network namespace with ``lo`` up; ``close`` removes it and every link in it."""

    def __init__(self):
        self.name = f"nh-{os.getpid()}-{next(_numbers)}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def close(self):
        """Remove the namespace."""
        run("ip", "netns", "del", self.name)

    def ip(self, *words):
        """``ip -n NAME words...``"""
        return run("ip", "-n", self.name, *words)

    def tool(self, *command):
        """The output of a tool that is run inside."""
        return run("ip", "netns", "exec", self.name, *command)

    def links(self):
        """``ip -j -s link`` inside, by name."""
        return {link["ifname"]: link for link in json.loads(self.tool("ip", "-j", "-s", "link"))}

    def sysctl(self, name, value):
        """Set a sysctl of this namespace, like ``net.ipv4.ip_local_port_range``."""
        self.tool("sysctl", "-q", "-w", f"{name}={value}")

    def call(self, function, *args):
        """``function(*args)`` in a child process that lives inside; its result or its error.

        A process, not a thread: ``/proc/net`` is that of a process's first thread.
        """
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _answer(write_end, lambda: (self.enter(), function(*args))[1])
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        result, error = pickle.loads(answer)
        assert error is None, f"inside {self.name}:\n{error}"
        return result

    def enter(self):
        """Move the calling thread in, for good."""
        with open(f"/run/netns/{self.name}") as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns to {self.name}")


def veth(one, two, names=("va", "vb"), addresses=("10.77.0.1/24", "10.77.0.2/24")):
    """Join two namespaces by a veth pair that is up and has addresses."""
    one.ip("link", "add", names[0], "type", "veth", "peer", "name", names[1], "netns", two.name)
    for end, name, address in zip((one, two), names, addresses, strict=True):
        end.ip("addr", "add", address, "dev", name)
        end.ip("link", "set", name, "up")


def rename(name, new):
    """Rename a link of this namespace that is up: before Linux 6.2 it must be down meanwhile.

    The kernel says up to a second later that it is up again.
    """
    if RELEASE < (6, 2):
        run("ip", "link", "set", name, "down")
    run("ip", "link", "set", name, "name", new)
    run("ip", "link", "set", new, "up")
    deadline_s = time.monotonic() + 10
    while " state UP " not in run("ip", "-o", "link", "show", new) and time.monotonic() < deadline_s:
        time.sleep(0.05)


def run(*command):
    """The output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _answer(write_end, work):
    try:
        answer = pickle.dumps((work(), None))
    except BaseException:  # noqa: BLE001 - the child must end here, and the parent must learn why
        answer = pickle.dumps((None, traceback.format_exc()))
    with os.fdopen(write_end, "wb") as pipe:
        pipe.write(answer)
    os._exit(0)


def behind_a_host(namespace):
    """A host that forwards between eth0, to the network, and v-box, to a container; and these two."""
    host, outside, box = namespace(), namespace(), namespace()
    veth(host, outside, ("eth0", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    veth(host, box, ("v-box", "eth0"), ("10.9.0.1/24", "10.9.0.2/24"))
    host.sysctl("net.ipv4.ip_forward", 1)
    box.ip("route", "add", "default", "via", "10.9.0.1")
    outside.ip("route", "add", "default", "via", "10.8.0.1")
    return host, outside, box
