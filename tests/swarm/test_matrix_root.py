"""Claiming and leaving /matrix, on a stand-in for it."""

import os
import sys

import pytest

from network_health.swarm import matrix_root
from network_health.swarm.errors import SwarmError
from network_health.swarm.matrix_root import claim, release
from tests.rights import as_nobody


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A /matrix that is not there yet."""
    path = tmp_path / "matrix"
    monkeypatch.setattr(matrix_root, "MATRIX", path)
    monkeypatch.setattr(matrix_root, "_MARK", path / ".mark")
    monkeypatch.setattr(matrix_root, "_SPAWN_LOG", path / "spawn.log")
    return path


def run(root, universe, nodes=2):
    """Leave what a swarm of that many nodes leaves: pods, and a line for each in the common log."""
    for number in range(nodes):
        (root / universe / "20260101_120000" / "pod" / str(number)).mkdir(parents=True)
        with (root / "spawn.log").open("a") as log:
            log.write(f"2026-01-01 :: node-{number}\n")


def test_what_was_made_goes(root):
    """The universe's folder, the log and /matrix itself."""
    claimed = claim("ours")
    run(root, "ours")
    release(claimed)
    assert not root.exists()


def test_what_was_there_stays(root):
    """A /matrix, a log and a universe of somebody else's are what they were."""
    root.mkdir()
    run(root, "theirs")
    claimed = claim("ours")
    run(root, "ours")
    release(claimed)
    assert sorted(os.listdir(root)) == ["spawn.log", "theirs"]
    assert len((root / "spawn.log").read_text().splitlines()) == 4


def test_a_log_that_was_made_goes_from_a_root_that_was_there(root):
    """Unless another universe has written to it meanwhile."""
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


@pytest.mark.parametrize("first_goes_first", [True, False])
def test_the_last_to_go_takes_the_root_along(root, first_goes_first):
    """Whichever of two throwaway universes that is."""
    claims = [claim("one"), claim("two")]
    run(root, "one")
    run(root, "two")
    first, last = claims if first_goes_first else reversed(claims)
    release(first)
    assert set(os.listdir(root)) == {".mark", "spawn.log", last.folder.name}
    release(last)
    assert not root.exists()


def test_a_universe_that_moved_in_keeps_the_root(root):
    """It may have come at any time."""
    claimed = claim("ours")
    run(root, "ours")
    run(root, "theirs")
    release(claimed)
    assert {"theirs", "spawn.log"} <= set(os.listdir(root))


def test_a_name_in_use_is_refused(root):
    """Two universes never share a folder."""
    claim("ours")
    with pytest.raises(SwarmError, match="File exists"):
        claim("ours")


def test_a_folder_removed_by_somebody_else_is_no_failure(root):
    """What is to go may be gone."""
    claimed = claim("ours")
    claimed.folder.rmdir()
    release(claimed)
    assert not root.exists()


@pytest.mark.parametrize("there", [True, False])
def test_no_right_to_write(root, there):
    """The sentence has the command that helps, whether /matrix is there or not."""
    if there:
        root.mkdir(mode=0o555)

    def attempt():
        try:
            claim("ours")
        except SwarmError as error:
            return error

    assert as_nobody(attempt).endswith(f"cannot write: run `{' '.join(['sudo', *sys.argv])}`")
