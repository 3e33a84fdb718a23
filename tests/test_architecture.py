"""The rules of the source tree: which stage imports which, through what, and that tests say what they do."""

import ast
import os
import re
from graphlib import TopologicalSorter

import pytest

from tests.tree import ROOT

LIBRARY = ROOT / "network_health"
#: From the lowest to the highest: a stage imports only stages before it.
STAGES = (
    *("model", "settings", "sources", "collectors", "alerting", "attribution", "delivery", "reporting"),
    *("history", "export", "monitor", "page", "swarm", "cli"),
)
#: Parts of a stage with public names of their own.
PARTS = ("sources.linux", "swarm.doctor", "cli.watch")
#: What the library itself exports, and the stage that it comes from.
TOP = {
    "Monitor": "monitor",
    "Report": "reporting",
    "Settings": "settings",
    "SettingsError": "settings",
    "SettingsOutcome": "settings",
}
#: Read nothing: no clock, no file, no socket.
PURE = ("model", "settings", "collectors", "alerting", "reporting")
PURE_MODULES = {
    *("attribution.connection_culprits", "attribution.evidence", "attribution.loss_culprits"),
    *("attribution.listener_culprits", "attribution.retransmit_culprits", "attribution.udp_culprits"),
    *("attribution.interface_paths", "attribution.ownership", "attribution.process_traffic"),
    *("attribution.rate_culprits", "attribution.protocol_split", "attribution.namespace_choice"),
    *("attribution.forwarded_flows", "attribution.forwarded_packets"),
    *("history.advice", "history.alert_replay", "history.normal", "history.suggestions"),
    *("delivery.schedule", "export.metric_families", "export.alert_families"),
    *("export.interface_families", "export.text_format"),
    *("page.alert_text", "page.overview", "page.plain", "page.style", "page.text"),
}
#: Where each foreign package, and the kernel's files, may be used.
DOORS = {
    "psutil": ("sources.portable",),
    "matrixswarm": ("swarm",),
    "prometheus_client": (),
    "rich": ("cli.watch",),
    "sqlite3": ("history",),
    "jinja2": ("page",),
    "plotly": (),
}
KERNEL_FILES = ("sources.linux", "swarm")


def modules():
    """Each module of the library: (dotted name below network_health, syntax tree)."""
    for path in sorted(LIBRARY.rglob("*.py")):
        name = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        if "payload." not in name:
            yield name.removesuffix(".__init__"), ast.parse(path.read_text())


MODULES = dict(modules())
del MODULES["__init__"]


def imports(tree):
    """(module, name) of everything that a module imports, at whatever depth; name is None for a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module, alias.name) for alias in node.names)


def of_library(tree):
    """(module below network_health, name) of what a module imports of the library."""
    for module, name in imports(tree):
        if module == "network_health" and name in (None, "__version__"):
            continue
        if module == "network_health":
            yield (name, None) if name in MODULES else (TOP[name], name)
        elif module.startswith("network_health."):
            module = module.removeprefix("network_health.")
            inner = f"{module}.{name}"
            yield (inner, None) if inner in MODULES and not exports(module, name) else (module, name)


def stage(name):
    return name.partition(".")[0]


def is_in(name, parts):
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def exports(module, name):
    """Whether a package makes ``name`` public."""
    for node in MODULES[module].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return name in ast.literal_eval(node.value)
    return False


def test_every_module_is_in_a_stage():
    """The packages of the design, and no module beside them."""
    assert {stage(name) for name in MODULES} == set(STAGES)


@pytest.mark.parametrize("name", MODULES)
def test_a_stage_imports_lower_stages_only_through_public_names(name):
    """No import goes up, and none reaches into another stage's modules."""
    for module, imported in of_library(MODULES[name]):
        if stage(module) == stage(name):
            continue
        assert STAGES.index(stage(module)) < STAGES.index(stage(name)), module
        assert module in STAGES or module in PARTS, f"{module} is not public"
        assert imported is None or exports(module, imported) or imported in TOP, f"{module}.{imported}"


def test_no_module_imports_itself_by_way_of_others():
    """The modules of a stage have an order, too."""
    graph = {name: {module for module, _ in of_library(tree)} - {name} for name, tree in MODULES.items()}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", [name for name in (*STAGES, *PARTS) if name != "monitor"])
def test_a_package_says_what_comes_in_and_what_goes_out(name):
    """In its docstring, in a sentence each."""
    assert {"In:", "Out:"} <= set(ast.get_docstring(MODULES[name]).split())


@pytest.mark.parametrize("name", MODULES)
def test_foreign_packages_have_one_door(name):
    """psutil is imported by the portable readers alone, and so on."""
    roots = {module.partition(".")[0] for module, _ in imports(MODULES[name])}
    for package, doors in DOORS.items():
        assert package not in roots or is_in(name, doors), package


@pytest.mark.parametrize("name", [n for n in MODULES if stage(n) in PURE or n in PURE_MODULES])
def test_pure_modules_do_no_io(name):
    """What computes reads nothing: no clock, no file, no socket."""
    forbidden = {"io", "os", "pathlib", "socket", "subprocess", "threading", "time"}
    assert not forbidden & {module.partition(".")[0] for module, _ in imports(MODULES[name])}
    calls = {getattr(n.func, "id", "") for n in ast.walk(MODULES[name]) if isinstance(n, ast.Call)}
    assert not calls & {"open", "print", "input"}


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


@pytest.mark.parametrize("name", [n for n in MODULES if not is_in(n, KERNEL_FILES)])
def test_only_linux_touches_the_kernels_files(name):
    """/proc, /sys and netlink have one home."""
    tree = MODULES[name]
    documentation = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, DOCUMENTED)}
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert not [t for t in texts - documentation if re.match(r"/(proc|sys)\b", t) or "NETLINK" in t]


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


def test_the_agents_file_is_thin():
    """What the swarm launches only connects the framework with the library."""
    agent = ROOT / "agent" / "network_health" / "network_health.py"
    assert len(agent.read_text().splitlines()) < 150


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda p: p.stem)
def test_every_test_says_what_it_shows(path):
    """Each test has a sentence."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_ci_runs_as_root():
    """In CI nothing that needs root may pass by not running."""
    assert os.geteuid() == 0 or not os.environ.get("CI")
