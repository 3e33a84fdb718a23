"""The framework accepts the project's directives, and their settings are valid."""

import ast
import json
import runpy
from pathlib import Path

import matrixswarm
import pytest
from matrixswarm.boot_directives.load_boot_directive import load_boot_directive
from matrixswarm.core.tree_parser import TreeParser

from network_health import Settings, SettingsOutcome
from network_health.swarm.booting import Swarm, wait_until
from tests.tree import ROOT

FILES = sorted((ROOT / "directives").glob("*.py"))
STOCK_AGENTS = Path(matrixswarm.__file__).parent / "agent"

#: The directive in the documentation of the reference agent.
PRINTED = {
    "universal_id": "matrix",
    "name": "matrix",
    "children": [
        {"universal_id": "forensic-alpha-1", "name": "forensic_detective"},
        {
            "universal_id": "net-health-1",
            "name": "network_health",
            "config": {
                "check_interval_sec": 60,
                "exclude_interfaces": ["lo"],
                "tx_threshold_mbps": 250,
                "rx_threshold_mbps": 500,
                "conn_threshold": 2000,
            },
        },
    ],
}


def directive(name):
    """The directive of that name, read as the framework's encrypting tool reads it."""
    return runpy.run_path(str(ROOT / "directives" / f"{name}.py"))["matrix_directive"]


def nodes(node):
    """A node and everything below it."""
    yield node
    for child in node.get("children", []):
        yield from nodes(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_framework_takes_it(path):
    """Both of the framework's loaders give the same tree, and its parser keeps every node."""
    tree = directive(path.stem)
    assert load_boot_directive(path.stem, path=str(path.parent)) == tree
    assert json.loads(json.dumps(tree)) == tree
    parsed = TreeParser.load_tree_direct(tree)
    assert not parsed.get_rejected_nodes()
    assert sorted(parsed.nodes) == sorted(node["universal_id"] for node in nodes(tree))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_node_can_be_launched(path):
    """Each node's agent is the framework's or ours, and no config is None, which would stop every child."""
    for node in nodes(directive(path.stem)):
        name = node["name"]
        source = Path(name) / f"{name}.py"
        assert (ROOT / "agent" / source).exists() or (STOCK_AGENTS / source).exists()
        assert node.get("config", {}) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_settings_are_right(path):
    """No network_health node has a setting that its agent would refuse."""
    ours = [node for node in nodes(directive(path.stem)) if node["name"] == "network_health"]
    assert ours
    for node in ours:
        outcome = SettingsOutcome.of(node.get("config", {}))
        assert (outcome.errors, outcome.warnings) == ((), ())


def test_the_demo_has_a_receiver():
    """Its detective declares the role of the receivers, and has the handler of the reports."""
    tree = directive("network_health_demo")
    detective, agent = tree["children"]
    settings = Settings.from_mapping(agent["config"])
    roles = [role for service in detective["config"]["service-manager"] for role in service["role"]]
    assert roles == [settings.report_to_role]
    source = ast.parse((STOCK_AGENTS / "forensic_detective" / "forensic_detective.py").read_text())
    functions = [node.name for node in ast.walk(source) if isinstance(node, ast.FunctionDef)]
    assert settings.report_handler in functions


def test_the_reference_is_as_printed():
    """The directive of the documentation is unchanged."""
    assert directive("network_health_reference") == PRINTED


@pytest.mark.root
@pytest.mark.swarm
def test_the_detective_of_the_reference_receives_the_reports():
    """The comment in the directive says so; on a real swarm it does."""
    with Swarm(directive("network_health_reference"), encryption=False) as swarm:
        wait_until(lambda: "[INGEST]" in swarm.log("forensic-alpha-1"), 60, "a report at forensic-alpha-1")
        advice = [line for line in swarm.log("net-health-1").splitlines() if "service-manager" in line]
    assert len(advice) == 1
