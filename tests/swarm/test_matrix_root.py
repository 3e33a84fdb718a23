"""The folder of a temporary universe in /matrix is created and removed, here in another folder."""

import os
import sys

import pytest

from network_health.swarm import matrix_root
from network_health.swarm.errors import SwarmError
from network_health.swarm.matrix_root import claim, release
from tests.rights import as_nobody


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A replacement for /matrix that does not exist yet."""
    path = tmp_path / "matrix"
    monkeypatch.setattr(matrix_root, "MATRIX", path)
    monkeypatch.setattr(matrix_root, "_MARKER", path / ".mark")
    monkeypatch.setattr(matrix_root, "_SPAWN_LOG", path / "spawn.log")
    return path


def run(root, universe, nodes=2):
    """Create what a swarm of that many nodes leaves: pods, and a line for each in the common log."""
    for number in range(nodes):
        (root / universe / "20260101_120000" / "pod" / str(number)).mkdir(parents=True)
        with (root / "spawn.log").open("a") as log:
            log.write(f"2026-01-01 :: node-{number}\n")


def sparse(path):
    """A file of 10 GB that needs no space."""
    path.touch()
    os.truncate(path, 10 << 30)


def test_what_was_created_is_removed(root):
    """The universe's folder, the log and /matrix itself are removed."""
    claimed = claim("ours")
    run(root, "ours")
    release(claimed)
    assert not root.exists()


def test_what_existed_before_stays(root):
    """An existing /matrix, its log and another universe are not changed."""
    root.mkdir()
    run(root, "theirs")
    claimed = claim("ours")
    run(root, "ours")
    release(claimed)
    assert sorted(os.listdir(root)) == ["spawn.log", "theirs"]
    assert len((root / "spawn.log").read_text().splitlines()) == 4


def test_a_created_log_is_removed_from_an_existing_root(root):
    """The log is removed, unless another universe has written to it."""
    root.mkdir()
    claimed = claim("ours")
    run(root, "ours")
    release(claimed)
    assert os.listdir(root) == []
    claimed = claim("ours")
    run(root, "ours")
    run(root, "theirs", nodes=1)
    release(claimed)
    assert sorted(os.listdir(root)) == ["spawn.log", "theirs"]


@pytest.mark.parametrize("in_order", [True, False])
def test_the_last_universe_removes_the_root(root, in_order):
    """The last of two temporary universes that ends removes /matrix."""
    claims = [claim("one"), claim("two")]
    run(root, "one")
    run(root, "two")
    first, last = claims if in_order else reversed(claims)
    release(first)
    assert set(os.listdir(root)) == {".mark", "spawn.log", last.folder.name}
    release(last)
    assert not root.exists()


def test_another_universe_keeps_the_root(root):
    """/matrix stays when another universe has been created in it."""
    claimed = claim("ours")
    run(root, "ours")
    run(root, "theirs")
    release(claimed)
    assert {"theirs", "spawn.log"} <= set(os.listdir(root))


def test_a_name_in_use_is_refused(root):
    """Two universes never have the same folder."""
    claim("ours")
    with pytest.raises(SwarmError, match="File exists"):
        claim("ours")


def test_a_folder_that_is_already_removed_is_no_failure(root):
    """Another program may have removed the folder before."""
    claimed = claim("ours")
    claimed.folder.rmdir()
    release(claimed)
    assert not root.exists()


@pytest.mark.parametrize("exists", [True, False])
def test_no_right_to_write(root, exists):
    """The error has the command to run instead, whether /matrix exists or not."""
    if exists:
        root.mkdir(mode=0o555)

    def attempt():
        try:
            claim("ours")
        except SwarmError as error:
            return error

    assert as_nobody(attempt).endswith(f"cannot write: run `{' '.join(['sudo', *sys.argv])}`")


@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), sparse])
def test_a_log_that_another_user_shaped(root, plant):
    """A pipe, a device or 10 GB in place of the log is not read, and stays."""
    root.mkdir()
    claimed = claim("ours")
    plant(root / "spawn.log")
    release(claimed)
    assert os.listdir(root) == ["spawn.log"]
