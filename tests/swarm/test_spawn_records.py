"""The spawn records say which nodes run forensic_detective; damaged ones are ignored."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.swarm.spawn_records import detective_nodes, newest_records
from tests import planted

EARLY, LATE = "20260101120000000000", "20260101120000000001"


def spawned(comm, uid, agent_name, timestamp=EARLY, **changes):
    """Write the record of one launch, as the spawner does; ``changes`` replace its fields."""
    folder = comm / uid / "spawn"
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "uuid": "0f9c",
        "universal_id": uid,
        "agent_name": agent_name,
        "parent": "matrix",
        "timestamp": timestamp,
        "pid": 4711,
    }
    (folder / f"{timestamp}_0f9c.spawn").write_text(json.dumps(record | changes))


def test_all_detectives_are_found_and_no_other_node(tmp_path):
    """The agent of a node counts, not the name of the node."""
    spawned(tmp_path, "zeta", "forensic_detective")
    spawned(tmp_path, "alpha", "forensic_detective")
    spawned(tmp_path, "forensic_detective", "network_health")
    spawned(tmp_path, "matrix", "matrix")
    assert detective_nodes(tmp_path) == ["alpha", "zeta"]


@pytest.mark.parametrize(
    ("agent_name", "counts"),
    [
        ("forensic_detective", True),
        ("forensic_detective_bp_night", True),
        ("forensic_detective_bp_a_bp_b", True),
        ("forensic_detective2", False),
        ("my_forensic_detective", False),
        ("night_bp_forensic_detective", False),
        ("Forensic_Detective", False),
        ("", False),
    ],
)
def test_a_blueprint_counts_as_its_source(tmp_path, agent_name, counts):
    """The part before ``_bp_`` names the source that the spawner runs."""
    spawned(tmp_path, "node", agent_name)
    assert detective_nodes(tmp_path) == (["node"] if counts else [])


@pytest.mark.parametrize(("newest", "found"), [("forensic_detective", ["node"]), ("watchdog", [])])
def test_the_newest_launch_decides(tmp_path, newest, found):
    """When a node was replaced by another agent, only the new agent counts."""
    older = "watchdog" if found else "forensic_detective"
    spawned(tmp_path, "node", older, EARLY, pid=1)
    spawned(tmp_path, "node", newest, LATE, pid=2)
    assert detective_nodes(tmp_path) == found
    assert newest_records(tmp_path)["node"].pid == 2


@pytest.mark.parametrize(
    ("cookies", "counts"),
    [((), True), (("die",), True), (("tombstone",), True), (("die", "tombstone"), False)],
)
def test_a_node_ended_for_good_does_not_count(tmp_path, cookies, counts):
    """A node that is down gets its packets later; a node with both cookies never does."""
    spawned(tmp_path, "node", "forensic_detective")
    (tmp_path / "node" / "incoming").mkdir()
    for cookie in cookies:
        (tmp_path / "node" / "incoming" / cookie).touch()
    assert detective_nodes(tmp_path) == (["node"] if counts else [])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"forensic_detective"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"universal_id": "bad"}',
        b'{"universal_id": "bad", "agent_name": null, "timestamp": "9"}',
        b'{"universal_id": "bad", "agent_name": "forensic_detective", "timestamp": 9}',
        b'{"universal_id": ["bad"], "agent_name": "forensic_detective", "timestamp": "9"}',
        b'{"universal_id": "other", "agent_name": "forensic_detective", "timestamp": "9"}',
    ],
)
def test_a_damaged_record_is_ignored(tmp_path, content):
    """It hides no other record and no other node, and never counts for another node."""
    spawned(tmp_path, "good", "forensic_detective")
    spawned(tmp_path, "bad", "watchdog")
    (tmp_path / "bad" / "spawn" / "9.spawn").write_bytes(content)
    assert detective_nodes(tmp_path) == ["good"]
    assert newest_records(tmp_path)["bad"].agent_name == "watchdog"


@given(content=st.binary(max_size=200))
def test_no_content_of_a_record_raises(content):
    """Whatever a file contains, the result is a list."""
    with tempfile.TemporaryDirectory() as folder:
        comm = Path(folder)
        spawned(comm, "good", "forensic_detective")
        (comm / "bad" / "spawn").mkdir(parents=True)
        (comm / "bad" / "spawn" / "1.spawn").write_bytes(content)
        assert "good" in detective_nodes(comm)


def test_folders_that_are_not_as_expected(tmp_path):
    """Files in the place of folders, folders in the place of files, and missing folders are ignored."""
    (tmp_path / "a-file").write_text("")
    (tmp_path / "no-spawn").mkdir()
    (tmp_path / "spawn-is-a-file").mkdir()
    (tmp_path / "spawn-is-a-file" / "spawn").write_text("")
    (tmp_path / "record-is-a-folder" / "spawn" / "1.spawn").mkdir(parents=True)
    spawned(tmp_path, "other-suffix", "watchdog")
    (tmp_path / "other-suffix" / "spawn" / "9.tmp").write_text("{}")
    assert detective_nodes(tmp_path) == []
    assert detective_nodes(tmp_path / "nowhere") == []
    assert detective_nodes(tmp_path / "a-file") == []


def test_a_record_without_a_pid_still_names_its_agent(tmp_path):
    """Its pid is unknown then."""
    for number, pid in enumerate((None, "12", True, 1.5)):
        spawned(tmp_path, f"node-{number}", "forensic_detective", pid=pid)
    assert {record.pid for record in newest_records(tmp_path).values()} == {None}
    assert len(detective_nodes(tmp_path)) == 4


@pytest.mark.parametrize("kind", planted.KINDS)
def test_a_record_that_another_program_put_there_is_ignored(tmp_path, kind):
    """It does not wait or read without an end, and the other records count."""
    victim = tmp_path / "victim"
    victim.write_text(planted.CONTENT)
    comm = tmp_path / "comm"
    spawned(comm, "alpha", "forensic_detective")
    kind(comm / "alpha" / "spawn" / f"{LATE}_0f9c.spawn", victim)
    with planted.within(10):
        assert detective_nodes(comm) == ["alpha"]
