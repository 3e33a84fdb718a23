"""What a process makes as large as it likes is read up to a limit, and its name is never taken for more."""

import gc
import os
import resource
import socket
import subprocess
import sys
import time

import pytest

from network_health.model import MAX_NAME
from network_health.sources import portable
from network_health.sources.linux import cgroups, procfs, read_socket_groups
from network_health.sources.linux import owners as owners_of
from network_health.swarm import booting
from tests.sources.command_line import process_with

#: The kernel cuts a process's name to 15 characters; one of this length may be longer in the command line.
CUT_NAME = b"a-name-of-15-by"
HUGE_BYTES = 256 << 20
SLACK_BYTES = 16 << 20
#: Every function that reads what a process has as its command line.
READERS = {
    "kernel": lambda pid: procfs.read_process_details([pid])[pid],
    "psutil": lambda pid: portable.read_process_details([pid])[pid],
    "psutil's list": lambda pid: next(s for s in portable.read_processes().processes if s.pid == pid),
}


def memory_of(work):
    """The result of ``work``, and by how many bytes the memory of this process was larger during it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = work()
    return result, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_huge_command_line_is_not_read(read):
    """Of 256 MiB that an unprivileged process has as its arguments only the first few KB are read."""
    text = b"/usr/bin/" + CUT_NAME + b"-user\0--argument\0"
    with process_with(CUT_NAME, text, HUGE_BYTES) as pid:
        found, grown = memory_of(lambda: read(pid))
    assert found.name == CUT_NAME.decode() + "-user"
    assert getattr(found, "command", found.name) == found.name
    assert grown < SLACK_BYTES


def test_the_search_for_a_swarms_processes_reads_little():
    """The search for the processes of a universe does not read a huge command line either."""
    swarm = booting.Swarm({})
    text = f"python\0agent.py\0--job\0{swarm.universe}:agent\0".encode()
    with process_with(CUT_NAME, text, HUGE_BYTES) as pid:
        found, grown = memory_of(swarm.processes)
    assert found == [pid]
    assert grown < SLACK_BYTES


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_long_name_is_cut(read):
    """A name with a megabyte in the command line has 255 characters, the last one an ellipsis."""
    with process_with(CUT_NAME, CUT_NAME + b"x" * 1_000_000, 1 << 20) as pid:
        found = read(pid)
    cut = CUT_NAME.decode() + "x" * (MAX_NAME - 1 - len(CUT_NAME)) + "…"
    assert (found.name, getattr(found, "command", cut)) == (cut, cut)
    assert len(cut) == 255


@pytest.mark.parametrize("name", [b"a\rUid:\t0", b"a\rUid:\tx", b"Uid:\t0\t0\t0"])
@pytest.mark.parametrize("reader", ["kernel", "psutil"])
def test_a_name_does_not_forge_the_user(reader, name):
    """A name that looks like the line with the user changes neither the user nor makes it unreadable."""
    with process_with(name, b"x", 1 << 12) as pid:
        found = READERS[reader](pid)
        uid = os.stat(f"/proc/{pid}").st_uid
    assert (found.name, found.user) == (name.decode(), procfs.user_name(uid))


def test_a_name_with_many_arguments_is_complete(tmp_path):
    """The name is completed also if the command line is longer than what is read of it."""
    path = tmp_path / "a-name-that-the-kernel-cuts"
    path.symlink_to("/bin/sleep")
    with subprocess.Popen([path, "60", *["0"] * 10_000]) as child:
        while (name := procfs.read_name(child.pid)) != path.name and child.poll() is None:
            time.sleep(0.01)  # until the program is loaded
        child.kill()
    assert name == path.name


def open_sockets(count):
    """A process with so many UDP sockets; its pid, after it has opened them."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            gc.disable()  # garbage of other tests would close the sockets that have its descriptors now
            os.closerange(3, writing)  # what other tests in this process have open is not counted
            os.closerange(writing + 1, 1024)
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            )
            held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
            for each in held:
                each.bind(("127.0.0.1", 0))
            os.write(writing, b"x")
            time.sleep(60)
        finally:
            os._exit(1)  # an error in the child must not go on in the tests' process
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    return pid


@pytest.fixture
def many():
    """A process with more sockets than are read at once; its pid."""
    pid = open_sockets(2 * owners_of._BATCH + 1)
    yield pid
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_many_descriptors_come_in_parts(many):
    """A process with thousands of sockets takes several parts, which together have all its sockets once."""
    parts = [inodes for pid, inodes in owners_of.OwnerSearch(time.monotonic() + 60) if pid == many]
    assert max(map(len, parts)) <= owners_of._BATCH
    inodes = [inode for part in parts for inode in part]
    assert len(inodes) == len(set(inodes)) == 2 * owners_of._BATCH + 1


def test_the_deadline_holds_within_a_process(many):
    """The search ends at its deadline, also in the middle of a process with many descriptors."""
    seen = []
    search = owners_of.OwnerSearch(1.0, now=lambda: 2.0 if many in seen else 0.0)
    seen.extend(pid for pid, _ in _recorded(search, seen))
    assert (seen.count(many), search.timed_out) == (1, True)


def _recorded(search, seen):
    for pid, inodes in search:
        if pid in seen:
            yield pid, inodes
        seen.append(pid)


@pytest.mark.root
def test_sockets_of_all_parts_belong_to_the_process(namespace):
    """The sockets of a process that was read in parts are counted together."""

    def count():
        pid = open_sockets(count_of_sockets)
        try:
            groups = read_socket_groups(time.monotonic() + 60).groups
            return sum(each.owners.get((pid,), 0) for each in groups)
        finally:
            os.kill(pid, 9)

    count_of_sockets = 2 * owners_of._BATCH + 1
    assert namespace().call(count) == count_of_sockets


@pytest.fixture
def hierarchy(tmp_path, monkeypatch):
    """A folder that stands for the kernel's hierarchy of cgroups."""
    (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(cgroups, "_HIERARCHIES", (tmp_path,))
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path], check=True)  # pytest cannot remove very deep folders


def test_deeply_nested_cgroups_do_not_end_the_search(hierarchy):
    """Folders that are nested deeper than Python can recurse, or a path can be long, hide no other one."""
    folder = os.open(hierarchy, os.O_RDONLY)
    for _ in range(max(sys.getrecursionlimit(), 2100)):
        os.mkdir("a", dir_fd=folder)
        inner = os.open("a", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    wanted = hierarchy / "z" / "web1"
    wanted.mkdir(parents=True)
    assert cgroups.read_cgroup_path(wanted.stat().st_ino) == "/z/web1"
    assert cgroups.read_cgroup_path(hierarchy.stat().st_ino) == "/"
    assert cgroups.read_cgroup_path(1 << 40) == ""


def test_very_many_cgroups_are_not_all_searched(hierarchy, monkeypatch):
    """Past the maximum the search ends; the cgroups near the root are found."""
    monkeypatch.setattr(cgroups, "_MAX_FOLDERS", 50)
    (hierarchy / "user" / "inner").mkdir(parents=True)
    for number in range(100):
        (hierarchy / "user" / "inner" / str(number)).mkdir()
    inode = (hierarchy / "user" / "inner").stat().st_ino
    assert cgroups.read_cgroup_path(inode) == "/user/inner"
    assert len(list(cgroups._folders(hierarchy))) == 50
