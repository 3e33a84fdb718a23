"""Which histories the agents of this host keep."""

from network_health.history import FILE_NAME
from network_health.swarm.history_files import HistoryFile, history_files
from tests.rights import as_nobody


def kept(root, *parts):
    """The path of a history that an agent has begun."""
    path = root.joinpath(*parts, "queue", FILE_NAME)
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_the_newest_boot_of_each_agent_counts(tmp_path):
    """An agent that was booted again has one history, and one that is gone since keeps its own."""
    kept(tmp_path, "u2", "20261124_100000", "comm", "net-1")
    newer = kept(tmp_path, "u2", "20261125_100000", "comm", "net-1")
    gone = kept(tmp_path, "u2", "20261124_100000", "comm", "net-2")
    other = kept(tmp_path, "u1", "20261101_000000", "comm", "net-1")
    assert history_files(tmp_path) == [
        HistoryFile("u1", "net-1", other),
        HistoryFile("u2", "net-1", newer),
        HistoryFile("u2", "net-2", gone),
    ]


def test_links_and_other_folders_are_ignored(tmp_path):
    """The link ``latest`` of the framework would name each history twice."""
    path = kept(tmp_path / "matrix", "u", "20261125_100000", "comm", "net-1")
    (tmp_path / "matrix" / "u" / "latest").symlink_to("20261125_100000")
    (tmp_path / "matrix" / "spawn.log").touch()
    kept(tmp_path / "matrix", "u", "backup", "comm", "net-1")
    planted = tmp_path / "matrix" / "u" / "20261125_100000" / "comm" / "net-2" / "queue" / FILE_NAME
    planted.parent.mkdir(parents=True)
    planted.symlink_to(path)
    assert history_files(tmp_path / "matrix") == [HistoryFile("u", "net-1", path)]


def test_matrixos_has_its_nodes_elsewhere(tmp_path):
    """Beside those of MatrixSwarm, whose universe may have the name of the folder."""
    path = kept(tmp_path, "universes", "runtime", "u", "20261125_100000", "comm", "net-1")
    kept(tmp_path, "universes", "static", "u", "20261125_100000", "comm", "net-1")
    other = kept(tmp_path, "universes", "20261125_100000", "comm", "net-1")
    assert history_files(tmp_path) == [
        HistoryFile("u", "net-1", path),
        HistoryFile("universes", "net-1", other),
    ]


def test_a_folder_that_this_user_cannot_read(tmp_path):
    """A closed queue has no history for this user; those of other agents are found."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    closed = kept(tmp_path, "u", "20261120_120000", "comm", "net-1").parent
    path = kept(tmp_path, "u", "20261120_120000", "comm", "net-2")
    closed.chmod(0)
    assert as_nobody(lambda: [each.path for each in history_files(tmp_path)]) == str([path])
    closed.chmod(0o700)


def test_no_matrix(tmp_path):
    """A host without a swarm has no history."""
    assert history_files(tmp_path / "none") == []
