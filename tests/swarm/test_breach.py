"""The breach of the demonstration: exactly as large as asked for, and gone at once."""

import resource
import subprocess
import sys
import time

import psutil
import pytest

from network_health.swarm.breach import Breach, _shares
from network_health.swarm.errors import SwarmError


def holders():
    """The processes of this test's own that hold connections."""
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


def test_it_opens_as_many_as_it_says_and_leaves_none():
    """Twice as many established sockets as connections; after it not one, not even in TIME_WAIT."""
    with Breach(700):
        ports = listening_side(holders())
        assert loopback_sockets(ports) == ["ESTAB"] * 1400
    assert holders() == []
    assert loopback_sockets(ports) == []


def test_a_low_limit_of_descriptors_is_shared_out(monkeypatch):
    """No process is asked to hold more than it may."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1024))
    assert _shares(2000) == [480, 480, 480, 480, 80]
    assert sum(_shares(960)) == 960
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, resource.RLIM_INFINITY))
    assert _shares(2000) == [2000]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (60, 60))
    with pytest.raises(SwarmError, match="ulimit"):
        _shares(1)


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
    """The soft limit is raised; where the hard one is low, too, several processes share."""
    script = LIMITED.format(soft=soft, hard=hard, connections=500, then="")
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["1000", str(processes)]


def test_it_ends_with_its_parent():
    """A parent that is killed leaves no process behind."""
    script = LIMITED.format(soft=1024, hard=1024, connections=10, then="time.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        parent.stdout.readline()
        (holder,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.communicate()
    deadline = time.monotonic() + 10
    while holder.is_running() and holder.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not holder.is_running() or holder.status() == psutil.STATUS_ZOMBIE


@pytest.mark.root
def test_a_breach_that_cannot_be_is_said(namespace):
    """Where the ports run out the sentence says what the system said, and no process is left."""
    narrow = namespace()
    narrow.sysctl("net.ipv4.ip_local_port_range", "40000 40003")

    def attempt():
        with pytest.raises(SwarmError) as caught, Breach(10):
            pass
        return str(caught.value), len(holders())

    sentence, left = narrow.call(attempt)
    assert sentence.startswith("the loopback connections could not be opened: OSError")
    assert left == 0
