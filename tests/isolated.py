"""Runs a command on a host of its own: ``python tests/isolated.py COMMAND...``; needs root.

The command and everything it starts have their own network (``lo`` alone), processes, ``/run/netns`` and
``/matrix``, as in a container; all other folders are the host's. So a check of "this host" sees only the
sockets, links and processes of the tests, and a swarm of a test never meets one of the host. What is left of
it is killed when the command ends.

Python in it reports an idle host (tests/idle_host): matrixswarm calls its agents less often when the load is
above 2, and the load of this host is that of the tests that run side by side.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

#: Before a Python's arguments: runs it so.
COMMAND = [sys.executable, __file__, sys.executable]
#: Set for the command: it need not be isolated again.
VARIABLE = "NETWORK_HEALTH_TESTS_ISOLATED"
#: Where the first process keeps the namespaces of the host that this was started on.
_OUTSIDE = {"mnt": 8, "net": 9}
#: The ``/proc`` of that host.
_HOST_PROC = "/host-proc"
#: unshare(2).
_NEW_MOUNTS, _NEW_PROCESSES, _NEW_NETWORK = 0x00020000, 0x20000000, 0x40000000
#: prctl(2): the signal that a process gets when its parent ends.
_PARENT_DEATH_SIGNAL = 1
_IDLE_HOST = Path(__file__).parent / "idle_host"
_IDLE_PROCESSES = 6
_LIBC = ctypes.CDLL(None, use_errno=True)

#: Makes a root folder that has the host's folders, but for those that are the command's own. It is put
#: together at a place that every Linux has and that the host misses least.
_NEW_ROOT = """
PATH=$PATH:/usr/sbin:/sbin
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /proc/fs
cd /proc/fs
for path in /*; do
    name=${path#/}
    case $name in proc | sys | matrix) continue ;; esac
    if [ -L "$path" ]; then
        cp -P "$path" .
    elif [ -d "$path" ]; then
        mkdir "$name"
        mount --rbind "$path" "$name"
    fi
done
mkdir proc sys host-proc before
mount --bind /proc host-proc
mount -t proc proc proc
mount -t sysfs sysfs sys
[ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup sys/fs/cgroup
mkdir -p run/netns
mount -t tmpfs -o mode=755 tmpfs run/netns
pivot_root . before
cd /
umount --lazy before
rmdir before
ip link set lo up
"""


def run(command):
    """Run the command isolated; returns its exit status."""
    for name, descriptor in _OUTSIDE.items():
        os.dup2(os.open(f"/proc/self/ns/{name}", os.O_RDONLY), descriptor)
    _call(_LIBC.unshare, _NEW_MOUNTS | _NEW_PROCESSES | _NEW_NETWORK)
    first = os.fork()
    if first == 0:
        _run_as_first_process(command)
    # A Ctrl-C reaches the command as well, which decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def outside(folder):
    """Words to put before a command that runs in ``folder`` and needs the host's network, as a download."""
    if VARIABLE not in os.environ:
        return []
    mounts, network = (f"/proc/1/fd/{descriptor}" for descriptor in _OUTSIDE.values())
    return ["nsenter", f"--mount={mounts}", f"--net={network}", "env", f"--chdir={folder}"]


def show_host_processes():
    """From now on this process's ``/proc`` is the host's, which has the threads of the kernel."""
    _call(_LIBC.unshare, _NEW_MOUNTS)
    subprocess.run(["mount", "--bind", _HOST_PROC, "/proc"], check=True)


def _run_as_first_process(command):
    """What pid 1 has to do: the mounts, the command, and to reap every orphan."""
    _call(_LIBC.prctl, _PARENT_DEATH_SIGNAL, signal.SIGKILL)
    here = os.getcwd()
    subprocess.run(["sh", "-e", "-c", _NEW_ROOT], check=True)
    os.chdir(here)
    _start_idle_processes()
    path = f"{_IDLE_HOST}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
    child = subprocess.Popen(command, env=os.environ | {VARIABLE: "1", "PYTHONPATH": path}).pid
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
