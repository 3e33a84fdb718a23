"""The breach of the demonstration has exactly the requested size, and leaves no socket."""

import resource
import subprocess
import sys
import time

import psutil
import pytest

from network_health.swarm.breach import Breach, _split
from network_health.swarm.errors import SwarmError


def children():
    """The child processes of this test that hold connections."""
    return [
        p for p in psutil.Process().children(recursive=True) if "network_health.swarm.breach" in p.cmdline()
    ]


def loopback_sockets(ports):
    """All TCP sockets on these ports, in any state, as ss lists them."""
    wanted = " or ".join(f"sport = :{port} or dport = :{port}" for port in ports)
    listing = subprocess.run(["ss", "-Htan", wanted], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listing.splitlines()]


def listening_side(processes):
    """The port that each process had its listener on: the one that all its connections share."""
    ports = []
    for process in processes:
        connections = process.net_connections()
        counts = [c.laddr.port for c in connections]
        ports.append(max(set(counts), key=counts.count))
    return ports


def test_it_opens_the_requested_number_and_closes_all():
    """There are two established sockets per connection, and none afterwards, not even in TIME_WAIT."""
    with Breach(700):
        ports = listening_side(children())
        assert loopback_sockets(ports) == ["ESTAB"] * 1400
    assert children() == []
    assert loopback_sockets(ports) == []


def test_connections_are_split_by_the_limit_of_descriptors(monkeypatch):
    """No process opens more connections than its limit of descriptors allows."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1024))
    assert _split(2000) == [480, 480, 480, 480, 80]
    assert sum(_split(960)) == 960
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, resource.RLIM_INFINITY))
    assert _split(2000) == [2000]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (60, 60))
    with pytest.raises(SwarmError, match="ulimit"):
        _split(1)


LIMITED = """
import resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from network_health.swarm.breach import Breach
import psutil
with Breach({connections}):
    children = psutil.Process().children()
    print(sum(len(child.net_connections()) for child in children), len(children), flush=True)
    {then}
"""


@pytest.mark.parametrize(("soft", "hard", "processes"), [(256, 4096, 1), (256, 256, 6)])
def test_it_works_under_low_limits(soft, hard, processes):
    """The soft limit is raised; with a low hard limit several processes are started."""
    script = LIMITED.format(soft=soft, hard=hard, connections=500, then="")
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["1000", str(processes)]


def is_running(process):
    """Whether the process has not ended; it may end at any moment."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_ends_with_its_parent():
    """When the parent is killed, no child process remains."""
    script = LIMITED.format(soft=1024, hard=1024, connections=10, then="time.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        parent.stdout.readline()
        (child,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.communicate()
    deadline = time.monotonic() + 60
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


@pytest.mark.root
def test_a_breach_that_fails_is_reported(namespace):
    """Without free ports the error has the system's message, and no process remains."""
    narrow = namespace()
    narrow.sysctl("net.ipv4.ip_local_port_range", "40000 40003")

    def attempt():
        with pytest.raises(SwarmError) as caught, Breach(10):
            pass
        return str(caught.value), len(children())

    sentence, left = narrow.call(attempt)
    assert sentence.startswith("the loopback connections could not be opened: OSError")
    assert left == 0
