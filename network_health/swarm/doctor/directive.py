"""What is wrong with a directive, before it is booted: looked at, never run.

Which node holds a role is found as ``get_nodes_by_role`` and ``get_service_managers`` of the framework
find it; which command a node knows, by the functions that its agent's source defines.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from network_health.settings import Settings, SettingsOutcome
from network_health.swarm.directive import AGENT, Node, nodes, read_directive, unread_parts
from network_health.swarm.doctor.export import check_export
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.errors import SwarmError
from network_health.swarm.spawn_records import DETECTIVE

_SERVICES = "service-manager"


def check_directive(workspace: Path, name: str | None, python: Path) -> Iterator[Finding]:
    """Everything about one directive of the workspace, which that Python will run.

    Which there are, when none is named.
    """
    folder = workspace / "boot_directives"
    if not name:
        yield _choice(folder)
        return
    path = _path(folder, name)
    try:
        directive = read_directive(path)
    except SwarmError as error:
        known = ", ".join(_directives(folder)) or "none that runs this agent"
        yield fault("directive", str(error), f"name a directive of {folder}: {known}")
        return
    tree = list(nodes(directive))
    yield from check_places(path)
    yield from check_configs(tree)
    agents = [node for node in tree if node.agent == AGENT]
    if not agents:
        node = f'{{"universal_id": "net-health-1", "name": "{AGENT}", "config": {{}}}}'
        yield fault("directive", f"no node of {path.name} runs {AGENT}", f"add {node} to its children")
    for agent in agents:
        is_block = isinstance(agent.config, Mapping) or bool(unread_parts(agent.config))
        outcome = SettingsOutcome.of(_known(agent.config) if is_block else agent.config)
        yield from check_settings(agent, outcome)
        yield from check_reports(agent, outcome.settings, tree, workspace)
        yield from check_export(agent.universal_id, outcome.settings, python)


def _path(folder: Path, name: str) -> Path:
    """A directive as ``matrixswarm-boot --directive`` takes it, or else the path of a file, from ``/`` on."""
    of_workspace, path = folder / f"{name.removesuffix('.py')}.py", Path(name)
    is_path = (
        "/" in name or name.endswith(".json") or (os.path.isfile(path) and not os.path.isfile(of_workspace))
    )
    return path.absolute() if is_path else of_workspace


def _directives(folder: Path) -> list[str]:
    """The names of the directives that have a node of this agent."""
    return sorted(path.stem for path in folder.glob("*.py") if path.is_file() and _runs_the_agent(path))


def _runs_the_agent(path: Path) -> bool:
    try:
        return any(node.agent == AGENT for node in nodes(read_directive(path)))
    except SwarmError:
        return False


def _choice(folder: Path) -> Finding:
    known = _directives(folder)
    if not known:
        do = f'write one with a node of "name": "{AGENT}"; network_health_demo shows how'
        return note("directive", f"none in {folder} runs {AGENT}", do)
    return note(
        "directive",
        "none was named, so none was looked at",
        f"add --directive with one of: {', '.join(known)}",
    )


def check_places(path: Path) -> Iterator[Finding]:
    """Whether the directive boots in plain text: the loader wants it in the package's folder as well."""
    package = importlib.util.find_spec("matrixswarm")
    if path.suffix != ".py" or package is None or not package.submodule_search_locations:
        return
    twin = Path(package.submodule_search_locations[0], "boot_directives", path.name)
    if twin.exists():
        yield ok(
            "boot", f"{path.stem} boots in plain text: the framework's own folder has one of that name, too"
        )
        return
    file, encrypted = shlex.quote(str(path)), shlex.quote(str(path.with_suffix(".json")))
    yield note(
        "boot",
        f"{path.stem} boots encrypted only: in plain text the framework wants it in {twin.parent}, too",
        f"key=$(matrixswarm-encrypt-directive --in {file} --out {encrypted}) && "
        f'matrixswarm-boot --universe NAME --encrypted-directive {encrypted} --swarm_key "$key"',
    )


def check_configs(tree: Sequence[Node]) -> Iterator[Finding]:
    """What in any node keeps the whole swarm, or its looking up of roles, from working."""
    for node in tree:
        config = node.config
        if config is None:
            says = (
                f'{node.universal_id} has "config": None, which keeps every child of the swarm from starting'
            )
            yield fault("config", says, f'write "config": {{}} in {node.universal_id}')
        elif isinstance(config, Mapping) and not _is_services(config.get(_SERVICES, [])):
            says = f"{node.universal_id} has a {_SERVICES} that is no list of blocks: no role is found then"
            yield fault("config", says, f'write "{_SERVICES}": [{{"role": ["a.role"]}}]')
    for uid, count in Counter(node.universal_id for node in tree).items():
        if count > 1:
            says = (
                f"{count} nodes are called {uid}: the framework drops all but the first, with their children"
            )
            yield fault("config", says, "give each node a universal_id of its own")


def _is_services(services: object) -> bool:
    return unread_parts(services) != [] or (
        isinstance(services, list) and all(isinstance(service, Mapping) for service in services)
    )


def check_settings(agent: Node, outcome: SettingsOutcome) -> Iterator[Finding]:
    """Every setting that the agent would refuse, or not know, each with what is allowed."""
    uid = agent.universal_id
    for part in unread_parts(agent.config):
        yield note(
            "settings", f"{uid}: only running the directive tells {part}", "look at this value yourself"
        )
    for mistake in outcome.errors:
        says, _, do = mistake.partition("; ")
        yield fault("settings", f"{uid}: {says}, so the default is in force", do)
    for mistake in outcome.warnings:
        says, _, hint = mistake.partition("; ")
        yield fault(
            "settings",
            f"{uid}: {says}, so it has no effect",
            hint or "take it out; docs/settings.md has all settings",
        )
    if not outcome.errors and not outcome.warnings:
        yield ok("settings", f"{uid}: no mistake")


def check_reports(
    agent: Node, settings: Settings, tree: Sequence[Node], workspace: Path
) -> Iterator[Finding]:
    """Whether some node takes the agent's reports, and knows what to do with them."""
    role, uid = settings.report_to_role, agent.universal_id
    do = f'add to the config of the node that is to get the reports: "{_SERVICES}": [{{"role": ["{role}"]}}]'
    holders = [node for node in tree if node.universal_id != uid and _holds(node, role)]
    if not holders and role == Settings().report_to_role:
        holders = [node for node in tree if node.agent == DETECTIVE]
        if holders:
            named = ", ".join(node.universal_id for node in holders)
            yield note(
                "reports", f"no node holds {role!r}: half a minute after a boot they go to {named}", do
            )
    if not holders:
        yield fault("reports", f"no node holds {role!r}: the reports of {uid} wait on disk for ever", do)
    for node in holders:
        yield _handler(node, settings.report_handler, workspace)


def _holds(node: Node, role: str) -> bool:
    patterns = [pattern.strip() for pattern in role.split(",") if pattern.strip()]
    services = _listed(_known(node.config).get(_SERVICES))
    entries = [
        e for service in services if isinstance(service, Mapping) for e in _listed(service.get("role"))
    ]
    roles = [name.strip() for entry in entries if isinstance(entry, str) for name in entry.split(",")]
    return any(fnmatch(name, pattern) for name in roles for pattern in patterns)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _handler(node: Node, handler: str, workspace: Path) -> Finding:
    """What runs ``handler`` in a node: a method of its agent, or a module in its agent's ``factory``."""
    folder = workspace / "agent" / node.agent
    source = folder / f"{node.agent}.py"
    factory = folder / "factory" / handler.split(".")[-1]
    try:
        known = _functions(source)
        elsewhere = factory.is_dir() or factory.with_suffix(".py").exists() or handler in _inherited()
    except (OSError, SyntaxError, ValueError) as error:
        says = f"the source of {node.universal_id} cannot be read: {error}"
        is_refused = isinstance(error, PermissionError)
        do = (
            "run this as the user that boots the swarm"
            if is_refused
            else f"put {node.agent} into {folder.parent}"
        )
        return fault("handler", says, do)
    if handler in known or elsewhere:
        return ok("handler", f"{node.universal_id} ({node.agent}) gets the reports and knows {handler}")
    commands = ", ".join(sorted(name for name in known if name.startswith("cmd_"))) or "no command at all"
    says = f"{node.universal_id} ({node.agent}) does not know {handler}: it drops every report"
    return fault(
        "handler", says, f"set report_handler to what it knows ({commands}), or give the role to another node"
    )


def _functions(source: Path) -> set[str]:
    tree = ast.parse(source.read_bytes())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _inherited() -> set[str]:
    """What every agent knows: the methods of the framework's own class."""
    package = importlib.util.find_spec("matrixswarm")
    for place in (package.submodule_search_locations or ()) if package else ():
        return _functions(Path(place, "core", "boot_agent.py"))
    return set()


def _known(config: object) -> Mapping[Any, Any]:
    """A config without what only running the directive could tell."""
    if not isinstance(config, Mapping):
        return {}
    return {key: value for key, value in config.items() if not unread_parts(value)}
