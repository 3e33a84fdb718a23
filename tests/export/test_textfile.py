"""The file for node_exporter: whole, readable, and no way into another file."""

import os
import resource
import threading
from pathlib import Path

import pytest

from network_health.export.textfile import write_textfile
from tests.rights import as_nobody


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o777, 0o000])
def test_anybody_may_read_it(tmp_path, umask):
    """Mode 0644, whatever the umask; nothing else is left in the folder."""
    before = os.umask(umask)
    try:
        write_textfile(tmp_path / "x.prom", b"a 1\n")
    finally:
        os.umask(before)
    assert (tmp_path / "x.prom").stat().st_mode & 0o7777 == 0o644
    assert os.listdir(tmp_path) == ["x.prom"]


def test_a_reader_finds_all_of_it(tmp_path):
    """While it is written again and again, each reading is one of the texts, never a part."""
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


@pytest.mark.parametrize("name", ["x.prom", f".x.prom.{os.getpid()}"])
@pytest.mark.parametrize("kind", [os.symlink, os.link])
def test_no_link_is_written_through(tmp_path, name, kind):
    """Of a link that somebody put in its place, the other end stays as it is."""
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("mine")
    folder.mkdir()
    kind(victim, folder / name)
    write_textfile(folder / "x.prom", b"a 1\n")
    assert victim.read_text() == "mine"
    assert (folder / "x.prom").read_bytes() == b"a 1\n"
    assert os.listdir(folder) == ["x.prom"]
    assert not (folder / "x.prom").is_symlink()


def test_what_is_left_of_a_killed_process_is_no_hindrance(tmp_path):
    """A half-written file of a process of the same id is written anew."""
    (tmp_path / f".x.prom.{os.getpid()}").write_bytes(b"hal")
    write_textfile(tmp_path / "x.prom", b"a 1\n")
    assert os.listdir(tmp_path) == ["x.prom"]


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("missing/x.prom", FileNotFoundError),
        ("file/x.prom", NotADirectoryError),
        ("folder.prom", IsADirectoryError),
        ("n" * 300 + ".prom", OSError),
    ],
)
def test_a_failure_leaves_everything_as_it_was(tmp_path, place, error):
    """The error is the system's, and no part stays."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.prom").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error):
        write_textfile(tmp_path / place, b"a 1\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(tmp_path):
    """Here for a limit on the size of files, as on a full disk."""
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
    """What node_exporter's user may do with root's file."""
    path = Path("/tmp") / f"network-health-{os.getpid()}.prom"
    try:
        write_textfile(path, b"a 1\n")
        assert "b'a 1\\n'" in as_nobody(path.read_bytes)
        assert not os.path.exists(f"/tmp/.{path.name}.{os.getpid()}")
    finally:
        path.unlink(missing_ok=True)
