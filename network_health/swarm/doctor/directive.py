"""Checks a directive before it is booted, without running it."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from network_health.settings import Settings, SettingsOutcome
from network_health.swarm import matrixd
from network_health.swarm.directive import AGENT, Node, nodes, read_directive, unread_parts
from network_health.swarm.doctor.agent_source import check_encrypted, check_sources
from network_health.swarm.doctor.export import check_export
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.doctor.handler import check_handler
from network_health.swarm.doctor.history import check_history
from network_health.swarm.doctor.roles import SERVICES, handler_of, has_role, known_config, lacks_handler
from network_health.swarm.encrypted_directive import directive_files, is_encrypted_file
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import MATRIXOS, framework_at, framework_folder
from network_health.swarm.receivers import SETTLE_S
from network_health.swarm.spawn_records import DETECTIVE


def check_directive(workspace: Path, name: str | None, key: str) -> Iterator[Finding]:
    """All findings about one directive of the workspace; without a name, which directives there are.

    ``key`` decrypts the directive if it is encrypted.
    """
    folder, suffix = workspace / "boot_directives", _suffix(workspace)
    path = _path(folder, name, suffix) if name else None
    yield from check_encrypted(workspace, path)
    if path is None:
        yield _choice(folder, suffix)
        return
    try:
        directive = read_directive(path, key)
    except SwarmError as error:
        known = ", ".join(_directives(folder, suffix)) or "none runs this agent"
        do = f"name a directive of {folder}: {known}"
        if is_encrypted_file(path):
            do = "add --key with the key that it was encrypted with"
        yield fault("directive", str(error), do)
        return
    tree = list(nodes(directive))
    yield from check_places(workspace, path)
    yield from check_sources(tree, workspace, path)
    yield from check_configs(tree)
    agents = [node for node in tree if node.agent == AGENT]
    if not agents:
        node = f'{{"universal_id": "net-health-1", "name": "{AGENT}", "config": {{}}}}'
        yield fault("directive", f"no node of {path.name} runs {AGENT}", f"add {node} to its children")
    for agent in agents:
        is_block = isinstance(agent.config, Mapping) or bool(unread_parts(agent.config))
        outcome = SettingsOutcome.of(known_config(agent.config) if is_block else agent.config)
        yield from check_settings(agent, outcome)
        yield from check_reports(agent, outcome.settings, tree, workspace)
        yield from check_export(agent.universal_id, outcome.settings)
        yield from check_history(agent.universal_id, outcome.settings)


def _suffix(workspace: Path) -> str:
    """How the names of directives end that are not encrypted."""
    return ".json" if framework_at(workspace) is MATRIXOS else ".py"


def _path(folder: Path, name: str, suffix: str) -> Path:
    """The absolute path of a directive: a name as ``matrixswarm-boot --directive`` takes it, or a file."""
    file = name if name.endswith((".json", ".py")) else f"{name}{suffix}"
    of_workspace, path = folder / file, Path(name)
    is_path = "/" in name or (os.path.isfile(path) and not os.path.isfile(of_workspace))
    return path.absolute() if is_path else of_workspace


def _directives(folder: Path, suffix: str) -> list[str]:
    """The names of the directives that have a node of this agent."""
    files = directive_files(folder, suffix)
    return [path.stem for path in files if path.is_file() and _runs_the_agent(path)]


def _runs_the_agent(path: Path) -> bool:
    try:
        return any(node.agent == AGENT for node in nodes(read_directive(path)))
    except SwarmError:
        return False


def _choice(folder: Path, suffix: str) -> Finding:
    known = _directives(folder, suffix)
    if not known:
        do = f'write one with a node of "name": "{AGENT}"; network_health_demo is an example'
        return note("directive", f"no directive in {folder} runs {AGENT}", do)
    return note(
        "directive",
        "no directive was named, so none was checked",
        f"add --directive with one of: {', '.join(known)}",
    )


def check_places(workspace: Path, path: Path) -> Iterator[Finding]:
    """How the directive boots: encrypted, unless the framework's package contains it, too."""
    framework = framework_folder()
    if framework_at(workspace) is MATRIXOS:
        yield _boot_of_matrixos(workspace, path)
        return
    if path.suffix != ".py" or framework is None:
        return
    in_package = framework / "boot_directives" / path.name
    if in_package.exists():
        yield ok("boot", f"{path.stem} boots unencrypted: the framework has a directive of the same name")
        return
    file, encrypted = shlex.quote(str(path)), shlex.quote(str(path.with_suffix(".json")))
    yield ok(
        "boot",
        f"{path.stem} boots encrypted, as a swarm should",
        f"key=$(matrixswarm-encrypt-directive --in {file} --out {encrypted}) && "
        f'matrixswarm-boot --universe NAME --encrypted-directive {encrypted} --swarm_key "$key"',
    )


def _boot_of_matrixos(workspace: Path, path: Path) -> Finding:
    """``matrixd`` decrypts what has a name for that, and reads everything else as JSON."""
    if path.suffix != ".json":
        return fault(
            "boot", f"matrixd cannot boot {path.name}: it reads JSON only", "write it as a .json file"
        )
    is_encrypted, suffix = is_encrypted_file(path), matrixd.ENCRYPTED_SUFFIX
    if is_encrypted != path.name.endswith(suffix):
        says = (
            "is encrypted, and its name does not end"
            if is_encrypted
            else "is not encrypted, but its name ends"
        )
        stem = path.name.removesuffix(suffix).removesuffix(".json")
        do = f"rename it to {stem}{suffix if is_encrypted else '.json'}"
        return fault("boot", f"matrixd cannot boot {path.name}: it {says} in {suffix}", do)
    return ok("boot", f"{path.stem} boots with matrixd", matrixd.boot(workspace, path, "NAME"))


def check_configs(tree: Sequence[Node]) -> Iterator[Finding]:
    """Mistakes in the config of any node that stop the whole swarm, or its search for roles."""
    for node in tree:
        config = node.config
        if config is None:
            says = f'{node.universal_id} has "config": None: no child node of the swarm will start'
            yield fault("config", says, f'write "config": {{}} in {node.universal_id}')
        elif isinstance(config, Mapping) and not _is_services(config.get(SERVICES, [])):
            says = f"{node.universal_id} has a {SERVICES} that is not a list of blocks: no role can be found"
            yield fault("config", says, f'write "{SERVICES}": [{{"role": ["a.role"]}}]')
    for uid, count in Counter(node.universal_id for node in tree).items():
        if count > 1:
            says = (
                f"{count} nodes have the universal_id {uid}: the framework drops all but the first, and "
                "the children of those"
            )
            yield fault("config", says, "give each node its own universal_id")


def _is_services(services: object) -> bool:
    return unread_parts(services) != [] or (
        isinstance(services, list) and all(isinstance(service, Mapping) for service in services)
    )


def check_settings(agent: Node, outcome: SettingsOutcome) -> Iterator[Finding]:
    """Every setting that the agent would refuse or does not know, with what is allowed."""
    uid = agent.universal_id
    for part in unread_parts(agent.config):
        yield note("settings", f"{uid}: a computed value is not checked: {part}", "check this value yourself")
    for mistake in outcome.errors:
        says, _, do = mistake.partition("; ")
        yield fault("settings", f"{uid}: {says}, so the default is used", do)
    for mistake in outcome.warnings:
        says, _, hint = mistake.partition("; ")
        yield fault(
            "settings",
            f"{uid}: {says}, so it has no effect",
            hint or "remove it; docs/settings.md lists all settings",
        )
    if not outcome.errors and not outcome.warnings:
        yield ok("settings", f"{uid}: all settings are valid")


def check_reports(
    agent: Node, settings: Settings, tree: Sequence[Node], workspace: Path
) -> Iterator[Finding]:
    """Whether some node receives the agent's reports, and has the handler for them."""
    role, uid = settings.report_to_role, agent.universal_id
    framework = framework_at(workspace)
    entry = framework.role_entry(role, settings.report_handler)
    do = f'add to the config of the node that is to get the reports: "{SERVICES}": [{{"role": ["{entry}"]}}]'
    others = [node for node in tree if node.universal_id != uid]
    receivers = [node for node in others if has_role(node, role, framework)]
    for node in others:
        if lacks_handler(node, role, framework):
            says = f"{node.universal_id} has the role {role!r} without a handler: {framework.name} ignores it"
            yield note("reports", says, f'write "{entry}"')
    if not receivers and role == Settings().report_to_role:
        receivers = [node for node in tree if node.agent == DETECTIVE]
        if receivers:
            named = ", ".join(node.universal_id for node in receivers)
            when = f"{SETTLE_S:.0f} s after the start"
            yield note("reports", f"no node has the role {role!r}: {when} reports are sent to {named}", do)
    if not receivers:
        yield fault("reports", f"no node has the role {role!r}: no report of {uid} will be delivered", do)
    for node in receivers:
        handler = handler_of(node, role, framework, settings.report_handler)
        yield check_handler(node, handler or settings.report_handler, workspace)
