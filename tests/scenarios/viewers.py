"""Monitors that do not see all processes. Each function is run in a process of its own, which it changes."""

import ctypes
import os
import pickle
import subprocess

from network_health import Monitor, Settings
from tests.rights import NOBODY

_NEW_MOUNTS, _NEW_PROCESSES = 0x00020000, 0x20000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def without_rights(settings):
    """The content of a check by another user than root."""
    _content(settings)  # imports what this user may not be allowed to read
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    return _content(settings)


def with_hidden_processes(settings):
    """The content of a check by another user, to whom /proc shows only that user's processes."""
    _unshare(_NEW_MOUNTS)
    _mount_proc("hidepid=2")
    return without_rights(settings)


def in_a_pid_namespace(settings):
    """The content of a check by root in a pid namespace of its own."""
    _unshare(_NEW_MOUNTS | _NEW_PROCESSES)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _mount_proc("nosuid")
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(_content(settings), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(answer)


def _content(settings):
    return Monitor(Settings.from_mapping(settings)).check().as_content()


def _unshare(flags):
    if _LIBC.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def _mount_proc(options):
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "proc", "-o", options, "proc", "/proc"], check=True)
