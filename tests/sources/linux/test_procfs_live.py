"""Processes on a real kernel; ``ps`` and psutil are the referees."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
import traceback

import psutil
import pytest

from network_health.sources import portable
from network_health.sources.linux.procfs import ProcessReader, read_process_details
from tests import isolated
from tests.fixtures import record
from tests.sources.linux import referees

pytestmark = pytest.mark.root

NOBODY = 65534
CLONE_NEWNS = 0x00020000
#: How far the quick count of a process's pages may be from the exact one: each CPU may keep a batch of
#: each of the three kinds of pages to itself. See the kernel's percpu_counter.h.
RSS_SLACK = 3 * (os.cpu_count() or 1) * max(32, 2 * (os.cpu_count() or 1)) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def cases(tmp_path):
    """Processes whose names are hard to read, and one that has ended: their pids."""
    with contextlib.ExitStack() as stack:
        pids = {
            name: stack.enter_context(record.running(tmp_path, name)) for name in record.PROGRAMS.values()
        }
        pids["busy"] = stack.enter_context(record.busy(tmp_path))
        pids["ended"] = stack.enter_context(record.ended())
        yield {**pids, "this one": os.getpid()}


def read():
    return {sample.pid: sample for sample in ProcessReader().read().processes}


def test_every_process_is_listed_as_ps_lists_them(cases):
    """Each pid that ``ps`` has before and after is in the reading, with the name that ``ps`` gives it."""

    def ps():
        lines = subprocess.run(["ps", "-eo", "pid=,comm="], capture_output=True, text=True, check=True).stdout
        pairs = (line.split(None, 1) for line in lines.splitlines())
        return {int(pid): name for pid, name in pairs}

    before, seen, after = ps(), read(), ps()
    stayed = before.keys() & after.keys()
    assert stayed <= seen.keys()
    assert set(cases.values()) <= seen.keys()
    renamed_often = {pid for pid, sample in seen.items() if sample.name.startswith("kworker/")}
    for pid in stayed - renamed_often:
        if before[pid] == after[pid] and seen[pid].name.isascii():  # ps replaces what cannot be shown
            assert before[pid].startswith(seen[pid].name)  # and says of one that it is defunct


def test_samples_are_what_psutil_says(cases):
    """CPU time, start and memory of processes at rest are psutil's."""
    at_rest = [psutil.Process(pid) for case, pid in cases.items() if case != "this one"]

    def referee():
        return {p.pid: (p.cpu_times(), p.memory_info().rss, p.create_time()) for p in at_rest}

    seen, expected = referees.at_one_moment(referee, read)
    for pid, (times, rss_bytes, created) in expected.items():
        assert seen[pid].cpu_s == pytest.approx(times.user + times.system, abs=1e-9)
        assert abs(seen[pid].rss_bytes - rss_bytes) <= RSS_SLACK
        started_s = seen[pid].started / os.sysconf("SC_CLK_TCK")
        assert started_s + psutil.boot_time() == pytest.approx(created, abs=1.01)
    assert seen[cases["busy"]].cpu_s > 0.2
    assert seen[cases["ended"]].rss_bytes == 0


def test_details_are_what_psutil_says(cases):
    """Full name, I/O, user and program are psutil's, of names that are hard to read too."""
    pids = list(cases.values())
    seen, expected = referees.at_one_moment(
        lambda: portable.read_process_details(pids), lambda: read_process_details(pids)
    )
    # psutil looks for a program in a command line with spaces in it, too
    spaced = cases[b"a (b) c) 1 2"]
    assert (seen.pop(spaced).command, expected.pop(spaced).command) == ("a", "a (b) c) 1 2")
    assert seen == expected
    assert seen[cases[b"a-name-that-the-kernel-cuts"]].name == "a-name-that-the-kernel-cuts"
    assert seen[cases["busy"]].write_bytes >= 200_000
    assert seen[cases["ended"]].command is None


def test_a_thread_of_the_kernel_is_what_ps_and_psutil_say():
    """Its name, start and user; it has neither memory nor a program."""

    def compare():
        isolated.show_host_processes()
        seen, details = read()[2], read_process_details([2])
        thread = psutil.Process(2)
        command = ["ps", "-o", "comm=", "-p", "2"]
        assert seen.name == thread.name() == subprocess.check_output(command, text=True).rstrip("\n")
        assert seen.started / os.sysconf("SC_CLK_TCK") + psutil.boot_time() == pytest.approx(
            thread.create_time(), abs=1.01
        )
        assert seen.rss_bytes == thread.memory_info().rss == 0
        assert details == portable.read_process_details([2])
        assert (details[2].user, details[2].command) == ("root", None)

    in_child(compare)


def test_names_of_samples_are_what_psutil_says_but_for_cut_ones(cases):
    """The listing has the kernel's names; psutil's are longer only where those are cut."""
    seen = read()
    for pid in cases.values():
        name = psutil.Process(pid).name()
        assert name.startswith(seen[pid].name)
        assert name == seen[pid].name or len(seen[pid].name) == 15


def test_what_is_refused_is_unknown(cases):
    """Another user sees name, user and program of a process of root, and ``None`` for its I/O."""

    def as_nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        busy, own = read_process_details([cases["busy"], os.getpid()]).values()
        assert (busy.read_bytes, busy.write_bytes) == (None, None)
        assert (busy.name, busy.user, busy.command) == ("busy) S 1 (", "root", own.command)
        assert own.user == "nobody"
        assert cases["busy"] in read()

    in_child(as_nobody)


def test_a_vanished_process_is_missing():
    """A process that is gone is in neither answer."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert read_process_details([pid, os.getpid()]).keys() == {os.getpid()}
    assert pid not in read()


def test_processes_that_come_and_go_do_not_disturb():
    """A listing while processes start and end all the time has every process that stayed."""
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


def test_a_reader_sees_what_changed(cases):
    """A reader that has read before has the CPU time of now, and knows a process that slept as it was."""
    reader = ProcessReader()
    first = {sample.pid: sample for sample in reader.read().processes}
    until = time.process_time() + 0.05
    while time.process_time() < until:
        sum(range(1000))
    second = {sample.pid: sample for sample in reader.read().processes}
    assert second[os.getpid()].cpu_s > first[os.getpid()].cpu_s
    assert second[os.getpid()].started == first[os.getpid()].started
    # what was not read anew is the very same
    assert second[cases["ended"]] is first[cases["ended"]]


def test_no_process_at_all_is_an_error():
    """A /proc in which nothing can be read is not a host without processes."""

    def hidden():
        assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
        with pytest.raises(OSError, match="EACCES"):
            ProcessReader().read()

    in_child(hidden)


def test_nothing_is_left_open():
    """Reading leaves no descriptor behind."""
    before = os.listdir("/proc/self/fd")
    reader = ProcessReader()
    reader.read()
    reader.read()
    read_process_details([os.getpid(), 2])
    assert os.listdir("/proc/self/fd") == before


def in_child(work):
    """Run ``work`` in a process of its own, whose error is this test's."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child must end here, and its error be seen
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
