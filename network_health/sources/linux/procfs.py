"""Reads processes from ``/proc/<pid>``; see proc(5).

Guarantees: a list of all processes takes one read per process, of ``stat``. A process name can have any byte
except NUL, also brackets and spaces. Arguments of a command line are never returned. If a process
controls the size of a file, only the start is read. Names have at most `MAX_NAME` characters.
"""

from __future__ import annotations

import errno
import os
import pwd
import time
from collections.abc import Sequence
from itertools import islice

from network_health.model import ProcessDetails, ProcessReading, ProcessSample, bounded_name
from network_health.sources.linux.bounded import read_start
from network_health.sources.linux.errors import KernelFormatError

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STAT_BYTES = 4096  # the kernel writes one page at most
_USUAL_STAT_BYTES = 512  # most have 200 to 350 bytes; a small buffer is cheaper
#: The kernel cuts names to this length.
_CUT_AT = 15
#: Room for the longest path of a program. A process can make its command line gigabytes long.
_COMMAND_LINE_BYTES = 8192
#: A process chooses how many descriptors it has: so many are listed in a millisecond or two.
_MAX_LISTED = 1000
_FILE_BYTES = 16384  # io, status and comm are smaller; only a long list of groups in status is cut


class ProcessReader:
    """Reads all processes. It parses a ``stat`` again only if it has changed: most processes sleep."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, ProcessSample]] = {}

    def read(self) -> ProcessReading:
        """All visible processes; one that ends meanwhile is left out.

        Raises:
            OSError: ``/proc`` is not mounted, or no process can be read.
            KernelFormatError: a ``stat`` has an unknown format.
        """
        at_s = time.monotonic()
        known, now = self._known, {}
        folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        try:
            for pid in os.listdir(folder):
                if not pid.isdigit():
                    continue
                try:
                    stat = _read_stat(pid + "/stat", folder)
                except OSError:  # ended, or not visible for this user
                    continue
                entry = known.get(pid)
                if entry is None or entry[0] != stat:
                    entry = stat, parse_stat(stat)
                now[pid] = entry
        finally:
            os.close(folder)
        if not now:
            require_proc()
            raise OSError(errno.EACCES, "EACCES: no /proc/<pid>/stat can be read")
        self._known = now
        return ProcessReading(at_s, tuple([sample for _, sample in now.values()]))


def require_proc() -> None:
    """Check that there is a ``/proc``, in a chroot or a container for example.

    Raises:
        FileNotFoundError: it is not mounted.
    """
    if not os.path.exists("/proc/self"):
        raise FileNotFoundError(errno.ENOENT, "/proc is not mounted")


def read_process_details(pids: Sequence[int]) -> dict[int, ProcessDetails]:
    """Name, I/O, user and program of each of ``pids``; one that has ended is left out.

    Raises:
        KernelFormatError: a file of a process has an unknown format.
    """
    details = {}
    for pid in pids:
        folder = _folder_of(pid)
        try:
            name = parse_stat(_read_stat(f"{folder}/stat")).name
        except OSError:
            continue
        details[pid] = _details(folder, name)
    return details


def read_name(pid: int) -> str:
    """The name of a process, without a read of its ``stat``.

    Raises:
        OSError: the process has ended, or is not visible for this user.
    """
    folder = _folder_of(pid)
    name = os.fsdecode(read_start(f"{folder}/comm", _FILE_BYTES).removesuffix(b"\n"))
    return full_name(name, (_read_command_line(folder) or b"") if len(name) >= _CUT_AT else b"")


def read_start_time(pid: int) -> float | None:
    """When a process started, in ticks since boot; ``None`` if it has ended.

    Raises:
        KernelFormatError: its ``stat`` has an unknown format.
    """
    try:
        return parse_stat(_read_stat(f"/proc/{pid}/stat")).started
    except OSError:
        return None


def is_running(pid: int, started: int) -> bool:
    """Whether the process that started at this tick since boot (modulo 2**32) has not ended.

    Raises:
        KernelFormatError: its ``stat`` has an unknown format.
    """
    now = read_start_time(pid)
    return now is not None and int(now) & 0xFFFFFFFF == started


def read_descriptor_count(pid: int) -> int | None:
    """How many descriptors a process has open; ``None`` if that is not known.

    Before Linux 6.2 the kernel does not count them: they are listed, and more than `_MAX_LISTED` are so many.
    """
    folder = f"/proc/{pid}/fd"
    try:
        return os.stat(folder).st_size or _listed(folder)
    except OSError:
        return None


def read_user(pid: int) -> str | None:
    """The user of a process; ``None`` if it has ended, or is not visible for this user.

    Raises:
        KernelFormatError: its ``status`` has an unknown format.
    """
    return _read_user(_folder_of(pid))


def read_command(pid: int) -> str | None:
    """The program of a process; ``None`` if it is not known."""
    line = _read_command_line(_folder_of(pid))
    return None if line is None else parse_command(line)


def parse_stat(stat: bytes) -> ProcessSample:
    """Parse ``stat``.

    Raises:
        KernelFormatError: it has an unknown format.
    """
    end = stat.rfind(b")")
    pid, _, name = stat[: max(end, 0)].partition(b" (")
    # Fields of proc(5) from the third on. The field after rss shows that rss is complete.
    words = stat[end + 1 :].split(None, 22)
    numbers = (pid, words[11], words[12], words[19], words[21]) if len(words) > 22 else (b"",)
    if not all(map(bytes.isdigit, numbers)):
        raise KernelFormatError(f"/proc/<pid>/stat: {stat[:80]!r} has not the words of proc(5)")
    number, user_ticks, system_ticks, started, rss_pages = map(int, numbers)
    return ProcessSample(
        pid=number,
        name=os.fsdecode(name),
        started=started,
        cpu_s=(user_ticks + system_ticks) / _TICKS_PER_S,
        rss_bytes=rss_pages * _PAGE_BYTES,
    )


def _listed(folder: str) -> int:
    with os.scandir(folder) as entries:
        return sum(1 for _ in islice(entries, _MAX_LISTED))


def full_name(name: str, command_line: bytes) -> str:
    """The name as psutil has it: a name that the kernel may have cut is completed from the command line.

    A command line that does not end with NUL is a process title: its words have spaces between them.
    """
    if len(name) < _CUT_AT:
        return name
    text = os.fsdecode(command_line)
    word, _, rest = text.partition("\0" if text.endswith("\0") else " ")
    if not rest:
        word = word.partition(" ")[0]
    program = word.rpartition("/")[2]
    return bounded_name(program) if program.startswith(name) else name


def parse_command(command_line: bytes) -> str | None:
    """The program's name, from the first word; ``None`` if the command line is empty, as for kernel threads.

    The word ends also at a space: in a process title the arguments follow after a space.
    """
    word = os.fsdecode(command_line.partition(b"\0")[0].partition(b" ")[0])
    return bounded_name(word.rpartition("/")[2]) or None


def parse_io(io: bytes) -> tuple[int, int]:
    """Bytes read from and written to storage: ``read_bytes`` and ``write_bytes`` of ``io``.

    Raises:
        KernelFormatError: one of them is missing.
    """
    return _number(io, b"read_bytes:", "io"), _number(io, b"write_bytes:", "io")


def parse_uid(status: bytes) -> int:
    """The real user id in ``status``. Its first line has the name, in which a process may put anything but a
    newline: the kernel escapes that, and no other character that ends a line.

    Raises:
        KernelFormatError: it is missing.
    """
    return _number(status, b"Uid:", "status")


def user_name(uid: int) -> str:
    """The user's name, or the number if it has no name."""
    try:
        return bounded_name(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)


def _number(text: bytes, key: bytes, source: str) -> int:
    """The first number of the line that starts with ``key``."""
    for line in text.split(b"\n"):
        if line.startswith(key):
            word = line[len(key) :].split(None, 1)[:1]
            if word and word[0].isdigit():
                return int(word[0])
    raise KernelFormatError(f"/proc/<pid>/{source}: no {key.decode()} in {text[:80]!r}")


def _folder_of(pid: int) -> str:
    # Not a Path: it interns its parts, which Python 3.12 keeps for ever, for each process.
    return f"/proc/{pid}"


def _details(folder: str, name: str) -> ProcessDetails:
    line, io = _read_command_line(folder), _read(f"{folder}/io")
    read_bytes, write_bytes = (None, None) if io is None else parse_io(io)
    return ProcessDetails(
        name=full_name(name, line or b""),
        read_bytes=read_bytes,
        write_bytes=write_bytes,
        user=_read_user(folder),
        command=None if line is None else parse_command(line),
    )


def _read_user(folder: str) -> str | None:
    status = _read(f"{folder}/status")
    return None if status is None else user_name(parse_uid(status))


def _read_stat(path: str, folder: int | None = None) -> bytes:
    descriptor = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        stat = os.read(descriptor, _USUAL_STAT_BYTES)
        return stat if len(stat) < _USUAL_STAT_BYTES else stat + os.read(descriptor, _STAT_BYTES)
    finally:
        os.close(descriptor)


def _read_command_line(folder: str) -> bytes | None:
    """The start of the command line. One that is cut ends with a whole argument, if it has more than one."""
    line = _read(f"{folder}/cmdline", _COMMAND_LINE_BYTES)
    if line is None or len(line) < _COMMAND_LINE_BYTES:
        return line
    return line[: line.rfind(b"\0") + 1] or line


def _read(path: str, max_bytes: int = _FILE_BYTES) -> bytes | None:
    try:
        return read_start(path, max_bytes)
    except OSError:  # access denied, process ended, or a kernel without this file
        return None
