"""The file for node_exporter: complete, readable by all users, and no link is followed."""

import os
import resource
import threading
import time
from pathlib import Path

import pytest

from network_health.export.textfile import write_textfile
from tests.planted import KINDS, of_another_user, within
from tests.rights import as_nobody


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o777, 0o000])
def test_every_user_may_read_the_file(tmp_path, umask):
    """The mode is 0644 with any umask; no other file is left in the folder."""
    before = os.umask(umask)
    try:
        write_textfile(tmp_path / "x.prom", b"a 1\n")
    finally:
        os.umask(before)
    assert (tmp_path / "x.prom").stat().st_mode & 0o7777 == 0o644
    assert os.listdir(tmp_path) == ["x.prom"]


def test_a_reader_finds_a_complete_file(tmp_path):
    """While the file is rewritten again and again, each read returns one of the two texts."""
    path = tmp_path / "x.prom"
    texts = [bytes([sign]) * 200_000 for sign in b"ab"]
    write_textfile(path, texts[0])
    writer = threading.Thread(target=lambda: [write_textfile(path, texts[i % 2]) for i in range(200)])
    writer.start()
    read = set()
    while writer.is_alive():
        read.add(path.read_bytes())
        assert [name for name in os.listdir(tmp_path) if name.endswith(".prom")] == ["x.prom"]
    writer.join()
    assert read <= set(texts)


@pytest.mark.parametrize("kind", [*KINDS, pytest.param(of_another_user, marks=pytest.mark.root)])
def test_whatever_has_the_files_name_is_replaced(tmp_path, kind):
    """Without a wait, without memory, and the target of a link is unchanged."""
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("unchanged")
    folder.mkdir()
    kind(folder / "x.prom", victim)
    with within(10):
        write_textfile(folder / "x.prom", b"a 1\n")
    assert (victim.read_text(), sorted(os.listdir(tmp_path))) == ("unchanged", ["folder", "victim"])
    assert ((folder / "x.prom").read_bytes(), os.listdir(folder)) == (b"a 1\n", ["x.prom"])
    assert not (folder / "x.prom").is_symlink()


@pytest.mark.parametrize(("age_s", "is_left"), [(0, True), (59, True), (61, False)])
def test_a_file_of_a_killed_process_is_removed(tmp_path, age_s, is_left):
    """One that is a minute old; a younger one may be another writer's, and other names are not touched."""
    temporary = tmp_path / "network-health-0123456789abcdef.tmp"
    for path in (temporary, tmp_path / "other.tmp"):
        path.write_bytes(b"hal")
        os.utime(path, (time.time() - age_s,) * 2)
    write_textfile(tmp_path / "x.prom", b"a 1\n")
    assert sorted(os.listdir(tmp_path)) == [*([temporary.name] * is_left), "other.tmp", "x.prom"]


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("missing/x.prom", FileNotFoundError),
        ("file/x.prom", NotADirectoryError),
        ("folder.prom", IsADirectoryError),
        ("n" * 300 + ".prom", OSError),
    ],
)
def test_a_failure_changes_nothing(tmp_path, place, error):
    """It raises the system's error and leaves no temporary file."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.prom").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error):
        write_textfile(tmp_path / place, b"a 1\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_write_that_fails_half_way_changes_nothing(tmp_path):
    """With a limit on the file size, as on a full disk, the old file stays."""
    path = tmp_path / "x.prom"
    write_textfile(path, b"a 1\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_textfile(path, b"a 2\n" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"a 1\n"
    assert os.listdir(tmp_path) == ["x.prom"]


@pytest.mark.root
def test_another_user_reads_but_does_not_write():
    """A user without rights can read root's file."""
    path = Path("/tmp") / f"network-health-{os.getpid()}.prom"
    try:
        write_textfile(path, b"a 1\n")
        assert "b'a 1\\n'" in as_nobody(path.read_bytes)
    finally:
        path.unlink(missing_ok=True)
