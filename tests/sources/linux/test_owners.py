"""Owners of sockets: processes that share them, that end, and whose pid another process gets."""

import contextlib
import errno
import fcntl
import os
import socket
import time
from types import SimpleNamespace

import pytest

from network_health.sources.linux import owners, process_visibility

#: From here on no test asks for a number of a descriptor, but for 1000.
HIGH = 300


@contextlib.contextmanager
def process(act=lambda: None):
    """A process that does something and then waits until the end of the block; its pid."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            writing = fcntl.fcntl(writing, fcntl.F_DUPFD, HIGH)
            act()
            os.write(writing, b"x")
            time.sleep(60)
        finally:  # also after an error: the child must not go on with the tests
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"x", "the process has ended"
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(reading)


def inode_of(end):
    return os.fstat(end.fileno()).st_ino


def found(finder, *inodes, closed=()):
    return finder.find(inodes, time.monotonic() + 10, closed).pids


def test_processes_that_share_a_socket_are_all_its_owners():
    """The parent and its child, the lowest pid first; a descriptor that was duplicated is no other owner."""
    with socket.socket() as shared, shared.dup(), process() as child:
        pids = tuple(sorted((os.getpid(), child)))
        assert found(owners.OwnerFinder(), inode_of(shared), 1) == {inode_of(shared): pids}


def test_a_process_that_began_after_the_search_is_an_owner():
    """A kept answer gets the processes that were forked since then."""
    finder = owners.OwnerFinder()
    with socket.socket() as shared, socket.socket() as idle:
        inodes = inode_of(shared), inode_of(idle)
        assert found(finder, *inodes) == dict.fromkeys(inodes, (os.getpid(),))
        with process() as child:
            pids = tuple(sorted((os.getpid(), child)))
            assert found(finder, inodes[0]) == {inodes[0]: pids}
            assert found(finder, inodes[1]) == {inodes[1]: pids}
        assert found(finder, *inodes) == dict.fromkeys(inodes, (os.getpid(),))


def test_an_answer_that_is_kept_is_checked():
    """The process that a socket was passed to is its owner, not the one that has closed it."""
    finder, (near, far), shared = owners.OwnerFinder(), socket.socketpair(), socket.socket()
    inode = inode_of(shared)
    with forked(lambda: (shared.close(), take(far))) as child:
        near.recv(1)
        assert found(finder, inode) == {inode: (os.getpid(),)}
        socket.send_fds(near, [b"x"], [shared.fileno()])
        shared.close()
        near.recv(1)
        assert found(finder, inode) == {inode: (child,)}
    near.close()
    far.close()


def take(end):
    end.send(b"x")
    kept = socket.recv_fds(end, 1, 1)[1]
    end.send(b"x")
    time.sleep(60)
    return kept


@contextlib.contextmanager
def forked(act):
    """A process that does something for the length of the block; its pid."""
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_a_closed_socket_has_the_owner_that_it_had():
    """If this process still runs; if it has ended, the socket has none; of others nothing is known."""
    finder = owners.OwnerFinder()
    mine, of_child, shared = socket.socket(), socket.socket(), socket.socket()
    inodes = [inode_of(each) for each in (mine, of_child, shared)]
    with process(mine.close) as child:
        of_child.close()
        both = tuple(sorted((os.getpid(), child)))
        assert found(finder, *inodes) == dict(zip(inodes, [(os.getpid(),), (child,), both], strict=True))
        mine.close()
        assert found(finder, closed=inodes[:1]) == {inodes[0]: (os.getpid(),)}
    shared.close()
    assert found(finder, closed=[*inodes, 1]) == {inodes[0]: (os.getpid(),), inodes[1]: ()}


@pytest.mark.root
def test_a_reused_pid_is_not_an_owner():
    """A process with the pid of one that has ended has neither its open sockets nor its closed ones."""
    finder, ended, closed = owners.OwnerFinder(), socket.socket(), socket.socket()
    inodes = inode_of(ended), inode_of(closed)
    with process() as child:
        ended.close()
        closed.close()
        assert found(finder, *inodes) == dict.fromkeys(inodes, (child,))
    other = fork_as(child)
    try:
        assert found(finder, inodes[0], closed=inodes[1:]) == {inodes[1]: ()}
        assert found(finder, inodes[0], closed=inodes[1:]) == {inodes[1]: ()}
    finally:
        os.kill(other, 9)
        os.waitpid(other, 0)


@pytest.mark.root
def test_a_socket_that_a_reused_pid_opens_is_its_own():
    """A process is searched although another one with its pid was searched before."""
    finder, shared = owners.OwnerFinder(), socket.socket()
    with process(shared.close) as child:
        assert found(finder, inode_of(shared)) == {inode_of(shared): (os.getpid(),)}
    other = fork_as(child)
    try:
        pids = tuple(sorted((os.getpid(), other)))
        assert found(finder, inode_of(shared)) == {inode_of(shared): pids}
    finally:
        os.kill(other, 9)
        os.waitpid(other, 0)
        shared.close()


def fork_as(pid):
    """A process with this pid, which inherits all sockets of this one."""
    time.sleep(0.02)  # the kernel counts start times in steps of 10 ms
    for _ in range(100):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pid - 1))
        other = os.fork()
        if other == 0:
            time.sleep(60)
            os._exit(0)
        if other == pid:
            return other
        os.kill(other, 9)
        os.waitpid(other, 0)
    raise AssertionError(f"no process got the pid {pid}")


def test_all_processes_are_searched_again_after_a_while(monkeypatch):
    """A socket that was passed to a process that ran before has it as a further owner, later."""
    monkeypatch.setattr(owners, "_KEPT_S", 0.0)
    finder, (near, far), shared = owners.OwnerFinder(), socket.socketpair(), socket.socket()
    inode = inode_of(shared)
    with forked(lambda: (shared.close(), take(far))) as child:
        near.recv(1)
        assert found(finder, inode) == {inode: (os.getpid(),)}
        socket.send_fds(near, [b"x"], [shared.fileno()])
        near.recv(1)
        assert found(finder, inode) == {inode: tuple(sorted((os.getpid(), child)))}
    for each in (near, far, shared):
        each.close()


def test_a_search_ends_at_its_deadline():
    """If the deadline is reached at the first process, owners can be unknown, but none is wrong."""
    with socket.socket() as mine:
        inode = os.fstat(mine.fileno()).st_ino
        finder = owners.OwnerFinder()
        late = finder.find([inode], 0.0, now=lambda: 1.0)
        assert late.timed_out
        assert late.pids in ({}, {inode: (os.getpid(),)})
        assert finder.find([inode], 1.0, now=lambda: 0.0).pids == {inode: (os.getpid(),)}


def test_an_owner_that_no_descriptor_was_left_to_find_is_found_later(monkeypatch):
    """A search that ran out of descriptors does not conclude that a socket has no owner."""

    def refuse(*_):
        raise OSError(errno.EMFILE, "no descriptor is left")

    with socket.socket() as mine:
        inode, finder = os.fstat(mine.fileno()).st_ino, owners.OwnerFinder()
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            none_left = finder.find([inode], time.monotonic() + 10)
        assert none_left == owners.SocketOwners({}, timed_out=True)
        assert finder.find([inode], time.monotonic() + 10).pids == {inode: (os.getpid(),)}


MOUNT = b"24 29 0:22 / /proc rw,nosuid - proc proc rw%s"


@pytest.mark.parametrize(
    ("mounts", "hides"),
    [
        (MOUNT % b"", False),
        (MOUNT % b",gid=4,hidepid=invisible", True),
        (MOUNT % b",hidepid=2", True),
        (MOUNT % b",hidepid=ptraceable,subset=pid", True),
        (MOUNT % b",hidepid=noaccess", False),
        (MOUNT % b",hidepid=1", False),
        (MOUNT % b",hidepid=2" + b"\n" + MOUNT % b"", False),
        (b"24 29 0:22 / /x/proc rw - proc proc rw,hidepid=2", False),
        (b"24 29 0:22 / /proc rw - tmpfs proc rw,hidepid=2", False),
        (b"24 29 /proc - proc\n - \n\n", False),
        (b"", False),
    ],
)
def test_the_uppermost_proc_may_hide_processes(mounts, hides):
    """Only the last mount at /proc counts, and only the values that remove processes."""
    assert process_visibility.parse_hides(mounts) is hides


def test_capabilities_are_a_number():
    """The line of the effective ones; a status without it has none."""
    status = b"Name:\tCapEff: f\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000080004\n"
    assert process_visibility.parse_capabilities(status) == 1 << 19 | 1 << 2
    assert process_visibility.parse_capabilities(b"Name:\tx\n") == 0


@pytest.fixture(params=["their number is known", "one more is opened meanwhile", "before Linux 6.2"])
def count_of_descriptors(request, monkeypatch):
    """The search with and without the number of descriptors that newer kernels report."""
    if request.param == "before Linux 6.2":
        monkeypatch.setattr(owners.os, "fstat", lambda folder: SimpleNamespace(st_size=0))
    elif request.param == "one more is opened meanwhile":
        fstat = os.fstat
        monkeypatch.setattr(
            owners.os, "fstat", lambda folder: SimpleNamespace(st_size=fstat(folder).st_size - 1)
        )


@pytest.mark.usefixtures("count_of_descriptors")
@pytest.mark.parametrize("numbers", [(200,), (40, 90, 1000), tuple(range(100, 160, 3))])
def test_gaps_between_descriptors_hide_no_socket(numbers):
    """Each descriptor is read, whatever its number is, and the sockets under it are found."""
    held = {}

    def renumber():
        # First all to high numbers: one that is wanted may be in use.
        moved = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, HIGH) for each in held.values()]
        for each in held.values():
            each.close()
        for descriptor, number in zip(moved, numbers, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.closerange(3, 7)

    with contextlib.ExitStack() as stack:
        held = {number: stack.enter_context(socket.socket()) for number in numbers}
        inodes = {str(number): os.stat(each.fileno()).st_ino for number, each in held.items()}
        with process(renumber) as pid:
            links = list(owners._socket_links(pid))
    found = {name: inode for each in links for inode, name in each.items()}
    assert {name: found.get(name) for name in inodes} == inodes
