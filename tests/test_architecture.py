"""The house rules that a reader would otherwise have to trust: who imports whom, and that tests speak."""

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "network_health"
PURE = {
    "alerting",
    "culprit",
    "interfaces",
    "kernel",
    "kernel_limits",
    "model",
    "processes",
    "report",
    "rules",
}
PURE |= {"redact", "schedule", "settings", "thresholds", "traffic"}

#: May import psutil: the portable readers alone.
PSUTIL = {"portable"}
#: Parts of the house that may know matrixswarm.
FRAMEWORK = {"swarm"}
#: The part that may import Prometheus' client library, and those that may use it.
PROMETHEUS, EXPORTING = {"export"}, {"cli", "export", "swarm"}


def modules():
    """Each module of the library: (dotted name below network_health, syntax tree)."""
    for path in sorted(LIBRARY.rglob("*.py")):
        name = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        if "payload." not in name:
            yield name, ast.parse(path.read_text())


def imports(tree):
    """Dotted names of everything that a module imports, at whatever depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(tree):
    """The parts of the library that a module imports: ``model``, ``linux.sock_diag``, ..."""
    prefix = "network_health."
    return {name.removeprefix(prefix) for name in imports(tree) if name.startswith(prefix)}


MODULES = dict(modules())


@pytest.mark.parametrize("name", MODULES)
def test_foreign_packages_have_one_door(name):
    """psutil comes in through portable, matrixswarm through swarm/, Prometheus' client through export/."""
    roots = {imported.partition(".")[0] for imported in imports(MODULES[name])}
    if name not in PSUTIL:
        assert "psutil" not in roots
    if name.partition(".")[0] not in FRAMEWORK:
        assert "matrixswarm" not in roots
    if name.partition(".")[0] not in PROMETHEUS:
        assert "prometheus_client" not in roots
    if name.partition(".")[0] not in EXPORTING:
        assert "export" not in {part.partition(".")[0] for part in inside(MODULES[name])}


@pytest.mark.parametrize("name", sorted(PURE & set(MODULES)))
def test_pure_modules_do_no_io(name):
    """What computes reads nothing: no clock, no file, no socket, no reader."""
    tree = MODULES[name]
    forbidden = {"io", "os", "pathlib", "socket", "subprocess", "threading", "time"}
    assert not forbidden & {imported.partition(".")[0] for imported in imports(tree)}
    assert not {part for part in inside(tree) if part.partition(".")[0] in {"linux", "portable", "readers"}}
    calls = {getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize("name", [n for n in MODULES if n != "model"])
def test_collectors_do_not_know_each_other(name):
    """Collectors and readers meet in the monitor and in the table of readers, nowhere else."""
    collectors = {"interfaces", "connections", "processes", "kernel", "culprit"}
    if name in collectors:
        assert not inside(MODULES[name]) & collectors
    known = {part.partition(".")[0] for part in inside(MODULES[name])}
    if name.partition(".")[0] == "linux":
        assert known <= {"evidence", "linux", "model"}
    if name.partition(".")[0] not in {"swarm", "cli"}:
        assert not known & {"swarm", "cli"}


def test_the_model_stands_alone():
    """Everything builds on the model, and the model on the standard library."""
    assert {part.partition(".")[0] for part in inside(MODULES["model"])} == {"evidence"}
    assert not inside(MODULES["evidence"])


@pytest.mark.parametrize("name", MODULES)
def test_only_linux_touches_the_kernels_files(name):
    """/proc, /sys and netlink have one home."""
    if name.partition(".")[0] in {"linux", "swarm"}:
        return
    tree = MODULES[name]
    documentation = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, DOCUMENTED)}
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert not [t for t in texts - documentation if re.match(r"/(proc|sys)\b", t) or "NETLINK" in t]


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: p.stem)
def test_no_file_and_no_function_outgrows_its_reader(path):
    """At most 300 lines a file, and 55 a function with its docstring."""
    if "payload" in path.relative_to(LIBRARY).parts:
        return
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 55, node.name


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda p: p.stem)
def test_every_test_says_what_it_shows(path):
    """Each test has a sentence."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_ci_runs_as_root():
    """In CI nothing that needs root may pass by not running."""
    assert os.geteuid() == 0 or not os.environ.get("CI")
