"""Processes on a real kernel, compared with ``ps`` and psutil."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
import traceback
from pathlib import Path

import psutil
import pytest

from network_health.model import ProcessDetails
from network_health.sources import portable
from network_health.sources.linux import procfs
from network_health.sources.linux.procfs import ProcessReader, read_descriptor_count, read_process_details
from network_health.sources.linux.protocols import read_protocols
from tests import isolated
from tests.fixtures import record
from tests.sources.linux import referees

pytestmark = pytest.mark.root

OTHER_USER = 65534
CLONE_NEWNS = 0x00020000
#: The maximum difference between the quick count of a process's pages and the exact one: each CPU can keep a
#: batch of each of the three kinds of pages. See the kernel's percpu_counter.h.
RSS_SLACK = 3 * (os.cpu_count() or 1) * max(32, 2 * (os.cpu_count() or 1)) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def processes(tmp_path):
    """The pids of processes with special characters in their names, a busy one, and one that has ended."""
    with contextlib.ExitStack() as stack:
        pids = {
            name: stack.enter_context(record.running(tmp_path, name)) for name in record.PROGRAMS.values()
        }
        pids["busy"] = stack.enter_context(record.busy(tmp_path))
        pids["ended"] = stack.enter_context(record.ended())
        yield {**pids, "this one": os.getpid()}


def read():
    return {sample.pid: sample for sample in ProcessReader().read().processes}


def details_of_psutil(pid):
    of = psutil.Process(pid).as_dict(["name", "io_counters", "username", "cmdline"])
    io, line = of["io_counters"], of["cmdline"]
    program = line[0].rpartition("/")[2] if line else None
    return ProcessDetails(of["name"], io.read_bytes, io.write_bytes, of["username"], program)


def test_every_process_of_ps_is_listed(processes):
    """Each pid that ``ps`` lists before and after the reading is in it, with the same name."""

    def ps():
        lines = subprocess.run(["ps", "-eo", "pid=,comm="], capture_output=True, text=True, check=True).stdout
        pairs = (line.split(None, 1) for line in lines.splitlines())
        return {int(pid): name for pid, name in pairs}

    before, seen, after = ps(), read(), ps()
    stayed = before.keys() & after.keys()
    assert stayed <= seen.keys()
    assert set(processes.values()) <= seen.keys()
    kernel_workers = {pid for pid, sample in seen.items() if sample.name.startswith("kworker/")}
    for pid in stayed - kernel_workers:  # these change their names often
        if before[pid] == after[pid] and seen[pid].name.isascii():  # ps replaces other characters
            assert before[pid].startswith(seen[pid].name)  # ps adds <defunct> to the name of an ended one


def test_samples_are_those_of_psutil(processes):
    """CPU time, start and memory of idle processes are the same as from psutil."""
    idle = [psutil.Process(pid) for name, pid in processes.items() if name != "this one"]

    def referee():
        return {p.pid: (p.cpu_times(), p.memory_info().rss, p.create_time()) for p in idle}

    seen, expected = referees.at_one_moment(referee, read)
    for pid, (times, rss_bytes, created) in expected.items():
        assert seen[pid].cpu_s == pytest.approx(times.user + times.system, abs=1e-9)
        assert abs(seen[pid].rss_bytes - rss_bytes) <= RSS_SLACK
        started_s = seen[pid].started / os.sysconf("SC_CLK_TCK")
        assert started_s + psutil.boot_time() == pytest.approx(created, abs=1.01)
    assert seen[processes["busy"]].cpu_s > 0.2
    assert seen[processes["ended"]].rss_bytes == 0


def test_details_are_those_of_psutil(processes):
    """Full name, I/O, user and program are the same as from psutil, also with special characters."""
    pids = list(processes.values())
    seen, expected = referees.at_one_moment(
        lambda: {pid: details_of_psutil(pid) for pid in pids}, lambda: read_process_details(pids)
    )
    assert portable.read_process_details(pids) == seen
    # psutil takes a command line with spaces as one program
    spaced = processes[b"a (b) c) 1 2"]
    assert (seen.pop(spaced).command, expected.pop(spaced).command) == ("a", "a (b) c) 1 2")
    assert seen == expected
    assert seen[processes[b"a-name-that-the-kernel-cuts"]].name == "a-name-that-the-kernel-cuts"
    assert seen[processes["busy"]].write_bytes >= 200_000
    assert seen[processes["ended"]].command is None


def test_a_kernel_thread_is_that_of_psutil():
    """Name, start and user are the same; it has no memory and no program."""

    def compare():
        isolated.show_host_processes()
        seen, details = read()[2], read_process_details([2])
        thread = psutil.Process(2)
        # ps does not work here: it needs its own entry in /proc.
        assert seen.name == thread.name() == Path("/proc/2/comm").read_text().rstrip("\n")
        assert seen.started / os.sysconf("SC_CLK_TCK") + psutil.boot_time() == pytest.approx(
            thread.create_time(), abs=1.01
        )
        assert seen.rss_bytes == thread.memory_info().rss == 0
        assert details == portable.read_process_details([2]) == {2: details_of_psutil(2)}
        assert (details[2].user, details[2].command) == ("root", None)

    in_child(compare)


def test_names_of_samples_are_those_of_psutil_up_to_their_length(processes):
    """The list has the kernel's names; psutil's are longer only if the kernel has cut a name."""
    seen = read()
    for pid in processes.values():
        name = psutil.Process(pid).name()
        assert name.startswith(seen[pid].name)
        assert name == seen[pid].name or len(seen[pid].name) == 15


def test_values_without_access_are_unknown(processes):
    """For another user, a process of root has name, user and program, and ``None`` for its I/O."""

    def as_another_user():
        os.setgroups([])
        os.setgid(OTHER_USER)
        os.setuid(OTHER_USER)
        busy, own = read_process_details([processes["busy"], os.getpid()]).values()
        assert (busy.read_bytes, busy.write_bytes) == (None, None)
        assert (busy.name, busy.user, busy.command) == ("busy) S 1 (", "root", own.command)
        assert own.user == "nobody"
        assert processes["busy"] in read()

    in_child(as_another_user)


def test_a_process_that_has_ended_is_missing():
    """A process that has ended is neither in the list nor in the details."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert read_process_details([pid, os.getpid()]).keys() == {os.getpid()}
    assert pid not in read()


def test_processes_that_start_and_end_do_not_disturb():
    """While processes start and end all the time, the list has every other process."""
    churn = os.fork()
    if churn == 0:
        while os.getppid() != 1:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        os._exit(0)
    try:
        reader = ProcessReader()
        for _ in range(30):
            pids = {sample.pid for sample in reader.read().processes}
            assert {os.getpid(), churn} <= pids
    finally:
        os.kill(churn, signal.SIGKILL)
        os.waitpid(churn, 0)


def test_a_reader_sees_what_changed(processes):
    """The second reading has the current CPU time, and the same sample of a process that slept."""
    reader = ProcessReader()
    first = {sample.pid: sample for sample in reader.read().processes}
    until = time.process_time() + 0.05
    while time.process_time() < until:
        sum(range(1000))
    second = {sample.pid: sample for sample in reader.read().processes}
    assert second[os.getpid()].cpu_s > first[os.getpid()].cpu_s
    assert second[os.getpid()].started == first[os.getpid()].started
    # an unchanged stat is not parsed again
    assert second[processes["ended"]] is first[processes["ended"]]


def test_no_process_at_all_is_an_error():
    """Without a ``/proc`` there is an error that says so, not a host without processes."""

    def hidden():
        assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
        for read_processes in (ProcessReader().read, portable.read_processes, read_protocols):
            with pytest.raises(FileNotFoundError, match="/proc is not mounted"):
                read_processes()

    in_child(hidden)


def test_descriptors_are_counted_on_every_kernel(processes, monkeypatch):
    """Linux counts them since 6.2; before that they are listed, up to a limit."""
    pid = processes["busy"]
    count = len(os.listdir(f"/proc/{pid}/fd"))
    assert read_descriptor_count(pid) == count
    monkeypatch.setattr(procfs.os, "stat", lambda path: os.stat_result([0] * 10))
    assert read_descriptor_count(pid) == count
    monkeypatch.setattr(procfs, "_MAX_LISTED", 2)
    assert read_descriptor_count(pid) == 2


def test_nothing_is_left_open():
    """After a reading no descriptor is open."""
    before = os.listdir("/proc/self/fd")
    reader = ProcessReader()
    reader.read()
    reader.read()
    read_process_details([os.getpid(), 2])
    assert os.listdir("/proc/self/fd") == before


def in_child(work):
    """Run ``work`` in a child process; an error there is an error of the test."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child must end here and print its error
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
