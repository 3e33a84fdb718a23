"""What the agent asks of MatrixOS, on a small tree: this needs no copy of the framework."""

from pathlib import Path

import pytest

import network_health
from network_health.swarm import MATRIXOS, MATRIXSWARM, framework_at
from tests.matrixos import small_tree


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """An agent that was started below a small tree, in an environment that has MatrixSwarm."""
    return small_tree.start(
        small_tree.make(tmp_path_factory.mktemp("site")), tmp_path_factory.mktemp("swarm")
    )


def test_site_root_decides(started):
    """And not which import succeeds: matrixswarm can be imported here, too."""
    assert started["base"] == "core.python_core.boot_agent"


def test_the_library_is_not_hidden(started):
    """``agents/python_core`` has a package of its name, so that folder is never searched."""
    assert Path(started["library"]) == Path(network_health.__file__)
    assert not any("agents" in Path(entry).parts for entry in started["path"])


def test_a_receiver_gets_its_reports_by_the_handler_that_it_names(started):
    """Once, although it has two endpoints of the role; no key of the framework is an unknown setting."""
    assert started["passed"] == [["receiver-1", "cmd_catch", "INFO"]]
    assert started["logged"] == [
        "NetworkHealthMonitor initialized.",
        "The first report was delivered to receiver-1",
    ]


def test_a_relative_site_root(tmp_path):
    """Agent and library take it for the same framework."""
    root = small_tree.make(tmp_path / "site")
    (tmp_path / "swarm").mkdir()
    started = small_tree.start(root, tmp_path / "swarm", site_root=str(root.relative_to("/")))
    assert started["base"] == "core.python_core.boot_agent"
    assert started["passed"] == [["receiver-1", "cmd_catch", "INFO"]]


def test_the_beacon_says_when_the_worker_is_stuck(started):
    """Without a timeout the framework would never start a stuck agent again."""
    assert started["beacons"]
    assert all(beacon == ["worker", 60] for beacon in started["beacons"])


def test_a_missing_library_is_said(tmp_path):
    """In the log of the right framework, which is found without the library."""
    (tmp_path / "empty" / "network_health").mkdir(parents=True)
    (tmp_path / "empty" / "network_health" / "__init__.py").write_text("raise ImportError('no library')\n")
    (tmp_path / "swarm").mkdir()
    root = small_tree.make(tmp_path / "site")
    started = small_tree.start(root, tmp_path / "swarm", library=tmp_path / "empty")
    assert (started["base"], started["passed"]) == ("core.python_core.boot_agent", [])
    (line,) = started["logged"]
    assert line.startswith("The library of this agent cannot be imported (no library), so nothing is ")


def test_which_framework_a_folder_is(tmp_path):
    """The folder of MatrixOS, another one, and none."""
    small_tree.make(tmp_path / "site")
    places = (tmp_path / "site", tmp_path, Path("none"), tmp_path / "site" / "scripts" / "matrixd")
    assert [framework_at(place) for place in places] == [MATRIXOS, *[MATRIXSWARM] * 3]
