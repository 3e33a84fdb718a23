"""A process whose command line is anywhere in its memory, of any size: what any user can do."""

import contextlib
import ctypes
import mmap
import os
import signal
import struct
import traceback

PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_MM, PR_SET_MM_MAP = 4, 15, 35, 14
MAP_NORESERVE = 0x4000
NOBODY = 65534
#: prctl_mm_map: eleven addresses, the auxiliary vector, and the executable (unchanged).
MEMORY_MAP = struct.Struct("=11QQII")
NO_FILE = 0xFFFFFFFF
#: Of /proc/<pid>/stat, counted from 1 as in proc(5).
START_CODE, END_CODE, START_STACK, START_DATA, END_DATA, START_BRK, ENV_START, ENV_END = (
    *(26, 27, 28),
    *(45, 46, 47, 50, 51),
)


@contextlib.contextmanager
def process_with(name, text, size):
    """The pid of a process of another user, whose command line is ``text`` and zeros up to ``size`` bytes."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(name, text, size)
            os.write(writing, b"x")
            signal.pause()
        except BaseException:  # noqa: BLE001 - the child must end here and print its error
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"x"
        yield pid
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become(name, text, size):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    libc.sbrk.restype = ctypes.c_void_p
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec: its files in /proc belong to its user
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    area[: len(text)] = text
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    with open("/proc/self/stat") as stat:
        words = ["", "", "", *stat.read().rpartition(") ")[2].split()]
    code = [int(words[at]) for at in (START_CODE, END_CODE, START_DATA, END_DATA, START_BRK)]
    stack, *environment = (int(words[at]) for at in (START_STACK, ENV_START, ENV_END))
    packed = MEMORY_MAP.pack(*code, libc.sbrk(0), stack, start, start + size, *environment, 0, 0, NO_FILE)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    if libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.addressof(buffer), len(packed), 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_MM_MAP)")
    with open("/proc/self/comm", "wb") as comm:
        comm.write(name)
    _areas.append(area)


#: Keeps the mapping of a child.
_areas = []
