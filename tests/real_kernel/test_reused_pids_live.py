"""A process gets the pid of one that has ended while the calls of both are counted, or after it."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from network_health.attribution.call_crossings import CallCrossings
from network_health.attribution.owner_lookups import OwnerLookups
from network_health.sources.linux import CallCounter, ChangedRoutes, OwnerFinder, read_start_time
from tests.running_kernel import needs_tracepoints

pytestmark = [pytest.mark.root, needs_tracepoints]

#: The next process of this pid namespace has the number that follows; see proc(5).
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def send(name, octets):
    """Send one datagram that nobody reads."""
    Path("/proc/self/comm").write_text(name)
    with contextlib.suppress(ConnectionRefusedError), socket.socket(type=socket.SOCK_DGRAM) as end:
        end.connect(("127.0.0.1", 9))
        end.send(bytes(octets))


def started(name, octets, pid=None):
    """The pid of a new process that has sent so many bytes, and waits; it is ``pid`` if that is given."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        reading, writing = os.pipe()
        if pid:
            LAST_PID.write_text(str(pid - 1))
        child = os.fork()
        if child == 0:
            if pid in (None, os.getpid()) and octets:
                send(name, octets)
            os.write(writing, b".")
            signal.pause()
        os.read(reading, 1)
        os.close(reading)
        os.close(writing)
        if pid in (None, child):
            return child
        end(child)  # another process was faster
    raise TimeoutError(f"pid {pid} was not free")


def end(pid):
    """End a process, and wait until its pid is free; the next one starts at least two ticks later."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(0.03)


def owners_of(calls, pid):
    """By bytes, the owner of each datagram of the processes that had this pid: its pid and its name."""
    found = [each for each in calls.traffic if each.pid == pid]
    counted = {each.pid: each for each in sorted(found, key=lambda each: each.started)}
    owners = OwnerLookups(OwnerFinder(), 5, counted)
    crossings = CallCrossings(calls._replace(traffic=tuple(found)), {}, ChangedRoutes(), 0)
    named = {}
    for each, holders in crossings.owned:
        owner = owners.owner_of(holders) if holders else None
        named[each.sent] = owner and (owner.pid, owner.name)
    return named


@pytest.fixture
def counter():
    """Counts calls until the end of the test."""
    with contextlib.closing(CallCounter()) as counter:
        yield counter


def test_the_start_of_a_process_is_counted(counter):
    """It is the same as in ``/proc``."""
    send("sender", 100)
    (call,) = [each for each in counter.take().traffic if each.pid == os.getpid()]
    assert call.started == read_start_time(os.getpid())


def test_a_pid_that_is_reused_after_the_count(counter):
    """The process that was counted is named, without the pid that another one has now."""
    pid = started("old", 100)
    calls = counter.take()
    assert owners_of(calls, pid) == {100: (pid, "old")}
    end(pid)
    assert owners_of(calls, pid) == {100: (None, "old")}
    started("new", 0, pid)
    assert owners_of(calls, pid) == {100: (None, "old")}
    end(pid)


def test_a_pid_that_is_reused_during_the_count(counter):
    """The bytes of the first process are not those of the second one."""
    pid = started("old", 100)
    end(pid)
    started("new", 200, pid)
    assert owners_of(counter.take(), pid) == {100: None, 200: (pid, "new")}
    end(pid)
