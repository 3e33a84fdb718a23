"""Runs a command on a host of its own: ``python tests/isolated.py COMMAND...``; needs root.

The command and everything it starts have their own network (``lo`` alone), processes, mounts, ``/run/netns``
and ``/matrix``, as in a container. So a check of "this host" sees the tests' own sockets, links and processes
only, and swarms of tests never meet swarms of the host. What is left is killed when the command ends.

Python in it reports an idle host (tests/idle_host): matrixswarm calls its agents less often when the load is
above 2, and the load of this host is that of the tests that run side by side.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

#: Before a Python's arguments: runs it so.
COMMAND = [sys.executable, __file__, sys.executable]
#: Set for the command: the folder that has the ``/proc`` of the host that this was started on.
VARIABLE = "NETWORK_HEALTH_TESTS_ISOLATED"
#: Where the first process keeps the network namespace of the host that this was started on.
_OUTSIDE_FD = 9
#: unshare(2).
_NEW_MOUNTS, _NEW_PROCESSES, _NEW_NETWORK = 0x00020000, 0x20000000, 0x40000000
#: umount2(2).
_DETACH = 2
#: prctl(2): the signal that a process gets when its parent ends.
_PARENT_DEATH_SIGNAL = 1
_IDLE_HOST = Path(__file__).parent / "idle_host"
_IDLE_PROCESSES = 6
_LIBC = ctypes.CDLL(None, use_errno=True)

_MOUNTS = """
mount --make-rprivate /
mount --bind /proc "$1"
cgroups=$(mktemp -d)
[ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup "$cgroups"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ ! -d /sys/fs/cgroup ] || mount --move "$cgroups" /sys/fs/cgroup
rmdir "$cgroups" 2>/dev/null || true
mkdir -p /run/netns /matrix
mount -t tmpfs -o mode=755 tmpfs /run/netns
mount -t tmpfs -o mode=755 tmpfs /matrix
ip link set lo up
"""


def run(command):
    """Run the command isolated; returns its exit status."""
    os.dup2(os.open("/proc/self/ns/net", os.O_RDONLY), _OUTSIDE_FD)
    _call(_LIBC.unshare, _NEW_MOUNTS | _NEW_PROCESSES | _NEW_NETWORK)
    host_proc = tempfile.mkdtemp(prefix="network-health-host-proc-")
    first = os.fork()
    if first == 0:
        _run_as_first_process(command, host_proc)
    # A Ctrl-C reaches the command as well, which decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = os.waitpid(first, 0)[1]
    _call(_LIBC.umount2, host_proc.encode(), _DETACH)  # no process can be made here any more
    os.rmdir(host_proc)
    return os.waitstatus_to_exitcode(status)


def on_the_outside_network():
    """Words to put before a command that downloads something."""
    return ["nsenter", f"--net=/proc/1/fd/{_OUTSIDE_FD}"] if VARIABLE in os.environ else []


def show_host_processes():
    """From now on this process's ``/proc`` is the host's, which has the threads of the kernel."""
    _call(_LIBC.unshare, _NEW_MOUNTS)
    subprocess.run(["mount", "--bind", os.environ[VARIABLE], "/proc"], check=True)


def _run_as_first_process(command, host_proc):
    """What pid 1 has to do: the mounts, the command, and to reap every orphan."""
    _call(_LIBC.prctl, _PARENT_DEATH_SIGNAL, signal.SIGKILL)
    subprocess.run(["sh", "-e", "-c", _MOUNTS, "sh", host_proc], check=True)
    _start_idle_processes()
    path = f"{_IDLE_HOST}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
    child = subprocess.Popen(command, env=os.environ | {VARIABLE: host_proc, "PYTHONPATH": path}).pid
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) % 256)


def _start_idle_processes():
    """As every host has them: what lists the busiest processes has some to list."""
    for _ in range(_IDLE_PROCESSES):
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            while True:
                signal.pause()


def _call(function, *args):
    if function(*args):
        raise OSError(ctypes.get_errno(), f"{function.__name__} {args}")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
