"""Processes: recorded files compared with psutil, names with special characters, and damaged files."""

import pytest

from network_health.sources.linux import procfs
from network_health.sources.linux.errors import KernelFormatError
from tests.sources.linux import recorded

PROCESSES = recorded.expected("procfs/psutil")
STAT = recorded.raw("procfs/busy/stat")


@pytest.mark.parametrize("process", PROCESSES)
def test_recorded_processes_are_those_of_psutil(process):
    """Pid, full name, CPU time and I/O of recorded processes are the same as from psutil."""
    files = {name: recorded.raw(f"procfs/{process}/{name}") for name in ("stat", "io", "status", "cmdline")}
    sample = procfs.parse_stat(files["stat"])
    read_bytes, write_bytes = procfs.parse_io(files["io"])
    expected = dict(PROCESSES[process])
    assert procfs.parse_uid(files["status"]) == 0
    assert expected.pop("user") == "root"
    assert expected == {
        "pid": sample.pid,
        "name": procfs.full_name(sample.name, files["cmdline"]),
        "cpu_s": sample.cpu_s,
        "read_bytes": read_bytes,
        "write_bytes": write_bytes,
    }


def test_a_recorded_process_has_its_start_and_memory():
    """The start in ticks since boot and the resident pages are fields 22 and 24 of proc(5)."""
    words = STAT.rpartition(b") ")[2].split()
    sample = procfs.parse_stat(STAT)
    assert (sample.started, sample.rss_bytes) == (int(words[19]), int(words[21]) * procfs._PAGE_BYTES)
    assert sample.cpu_s > 0.2


@pytest.mark.parametrize("page_bytes", [4096, 65536])
def test_resident_memory_is_in_pages_of_the_kernel(page_bytes, monkeypatch):
    """They have 64 KiB on some kernels for ARM and POWER."""
    monkeypatch.setattr(procfs, "_PAGE_BYTES", page_bytes)
    stat = b"7 (x) S" + b" 1" * 20 + b" 25 18446744073709551615"
    assert procfs.parse_stat(stat).rss_bytes == 25 * page_bytes


@pytest.mark.parametrize(
    "name", [b"a b", b"(x)", b") S 1 1 1", b"", b" ", b"\n", b"(", b")", b"tab\there", b"\xff\xfe", b"1) ("]
)
def test_any_name_is_parsed(name):
    """Names can have spaces, brackets and line ends; the numbers follow after the last bracket."""
    sample = procfs.parse_stat(STAT.replace(b"busy) S 1 (", name))
    assert sample.name == name.decode("utf-8", "surrogateescape")
    assert (sample.pid, sample.cpu_s) == (PROCESSES["busy"]["pid"], PROCESSES["busy"]["cpu_s"])


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("short", b"/usr/bin/shorter\0", "short"),
        ("gnome-keyring-d", b"/usr/bin/gnome-keyring-daemon\0--start\0", "gnome-keyring-daemon"),
        ("gnome-keyring-d", b"gnome-keyring-daemon\0", "gnome-keyring-daemon"),
        ("gnome-keyring-d", b"/usr/bin/python3\0/usr/bin/gnome-keyring-daemon\0", "gnome-keyring-d"),
        ("gnome-keyring-", b"/usr/bin/gnome-keyring-daemon\0", "gnome-keyring-"),
        ("gnome-keyring-d", b"gnome-keyring-daemon --start\0x", "gnome-keyring-daemon"),
        ("gnome-keyring-d", b"", "gnome-keyring-d"),
        ("gnome-keyring-d", b"\0", "gnome-keyring-d"),
        ("gnome-keyring-d", b"gnome-keyring-daemon --start\0", "gnome-keyring-daemon"),
        ("gnome-keyring-d", b"gnome-keyring-daemon --start", "gnome-keyring-daemon"),
        ("gnome-keyring-d", b"gnome-keyring-daemon of mine\0--start\0", "gnome-keyring-daemon of mine"),
        ("kworker/u8:1-ext4-rsv-conversion", b"", "kworker/u8:1-ext4-rsv-conversion"),
    ],
)
def test_a_cut_name_is_completed_as_psutil_does(name, line, expected):
    """A name of fifteen characters is completed if the program of the command line begins with it."""
    assert procfs.full_name(name, line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"/usr/bin/python3\0-m\0secret\0", "python3"),
        (b"python3\0", "python3"),
        (b"-bash\0", "-bash"),
        (b"nginx: worker process\0\0\0\0", "nginx:"),
        (b"sshd: root@pts/0", "sshd:"),
        (b"app --password=a/b\0", "app"),
        (b"/opt/app --password=a/b", "app"),
        (b"caf\xe9\0", "caf\udce9"),
        (b"", None),
        (b"\0", None),
        (b"/\0", None),
    ],
)
def test_a_command_is_the_last_part_of_the_first_word(line, expected):
    """The result has the program and no arguments, with NUL or spaces between them."""
    assert procfs.parse_command(line) == expected


DAMAGED = {
    "nothing": b"",
    "no name": b"12 S 1 1 1",
    "no number": b"x (name) S" + b" 0" * 50,
    "too few words": b"1 (name) S" + b" 0" * 20,
    "words that are no numbers": b"1 (name) S" + b" x" * 50,
    "no pid": b" (name) S" + b" 0" * 50,
    "a name without end": b"1 (name S" + b" 0" * 50,
    "a negative size": b"1 (name) S" + b" 0" * 20 + b" -1 0 0",
}


@pytest.mark.parametrize("stat", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_stat_is_an_error(stat):
    """A ``stat`` in an unknown format is an error that names the file."""
    with pytest.raises(KernelFormatError, match="/proc/<pid>/stat"):
        procfs.parse_stat(stat)


@pytest.mark.parametrize("cut", range(len(STAT)))
def test_a_truncated_stat_is_an_error_or_complete(cut):
    """A ``stat`` that is cut before the last necessary field is an error, not a smaller value."""
    needed = len(STAT) - len(STAT.rpartition(b") ")[2].split(b" ", 22)[22])
    if cut <= needed:
        with pytest.raises(KernelFormatError):
            procfs.parse_stat(STAT[:cut])
    else:
        assert procfs.parse_stat(STAT[:cut]) == procfs.parse_stat(STAT)


@pytest.mark.parametrize(
    ("parse", "text", "source"),
    [
        (procfs.parse_io, b"", "io"),
        (procfs.parse_io, b"rchar: 5\nread_bytes: 5\n", "io"),
        (procfs.parse_io, b"read_bytes: 5\ncancelled_write_bytes: 5\n", "io"),
        (procfs.parse_io, b"read_bytes: 5\nwrite_bytes: x\n", "io"),
        (procfs.parse_io, b"read_bytes: -5\nwrite_bytes: 1\n", "io"),
        (procfs.parse_uid, b"", "status"),
        (procfs.parse_uid, b"Name:\tx\nUid:\n", "status"),
        (procfs.parse_uid, b"Name:\tUid: 5\n", "status"),
        (procfs.parse_uid, b"Name:\tx\rUid:\t5\n", "status"),
    ],
)
def test_files_without_the_value_are_an_error(parse, text, source):
    """A missing or damaged line is an error that names the file, never a zero."""
    with pytest.raises(KernelFormatError, match=f"/proc/<pid>/{source}"):
        parse(text)


def test_the_real_user_is_the_first_of_four():
    """The result is the real user id, as from psutil."""
    assert procfs.parse_uid(b"Name:\tx\nUid:\t1000\t0\t0\t0\n") == 1000
