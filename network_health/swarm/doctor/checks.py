"""Runs all checks of the doctor: the library, the workspace, a directive and the host.

Guarantees: nothing is changed. No directive and no agent is run. Every problem is a `Finding`, never an
exception.
"""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import network_health
from network_health.swarm.doctor.bpf import check_bpf
from network_health.swarm.doctor.directive import check_directive
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.doctor.forwarding import check_forwarding
from network_health.swarm.doctor.history import check_kept_histories
from network_health.swarm.doctor.host import check_kernel, check_matrix, check_rights
from network_health.swarm.doctor.namespaces import check_namespaces
from network_health.swarm.doctor.python import run_python, swarm_python
from network_health.swarm.errors import SwarmError, last_line
from network_health.swarm.framework import CORE, MATRIXOS, MATRIXSWARM, framework_at
from network_health.swarm.matrix_root import MATRIX
from network_health.swarm.payload import framework_source, payload_files, source
from network_health.swarm.untrusted_file import read_regular_file
from network_health.swarm.workspace import Workspace

_AGENT_FILE = "network_health.py"
#: Run by the swarm's Python: imports the modules that are its arguments, after the folders to import from,
#: and prints where the library is.
_PROBE = (
    "import importlib, json, sys; sys.dont_write_bytecode = True; import network_health; "
    "sys.path[:0] = json.loads(sys.argv[1]); [importlib.import_module(name) for name in sys.argv[2:]]; "
    "print(json.dumps([network_health.__file__, sys.version.split()[0]]))"
)


def examine(workspace: Path | None, directive: str | None, key: str = "") -> Iterator[Finding]:
    """All findings, in the order in which a boot would fail.

    ``None`` means the default workspace, or no directive; ``key`` is that of an encrypted directive.
    """
    try:
        place = Workspace.at(workspace) if workspace else Workspace.default()
    except SwarmError as error:
        yield check_library(swarm_python())
        do = "make one with `matrixswarm-boot --init`, or name " + ("another" if workspace else "yours")
        yield fault("workspace", str(error), f"{do}: network-health doctor WORKSPACE")
    else:
        is_matrixos = place.framework is MATRIXOS
        yield (
            check_library(Path(sys.executable), place.path) if is_matrixos else check_library(swarm_python())
        )
        if is_matrixos and place.path != MATRIX:
            says = f"{place.path} is a copy of MatrixOS, which boots only in {MATRIX}"
            yield note("workspace", says, f"move or mount it to {MATRIX}")
        else:
            yield ok("workspace", f"{place.path}, of {place.framework.name}")
        yield from check_agent_files(place.path)
        yield from check_directive(place.path, directive, key)
    yield from check_kept_histories()
    yield check_rights()
    yield from check_kernel()
    yield check_namespaces()
    yield check_bpf()
    yield check_forwarding()
    yield check_matrix()


def check_library(python: Path, matrixos: Path | None = None) -> Finding:
    """Whether ``python`` imports all that the agent's file imports, and from where.

    ``matrixos`` is the folder of MatrixOS, if that is the framework.
    """
    package = shlex.quote(source()) if matrixos else framework_source()
    install = f"{shlex.quote(str(python))} -m pip install {package}"
    try:
        # As for an agent that MatrixOS starts: SITE_ROOT, and its PYTHONPATH.
        folders = [str(matrixos), str(matrixos / "core")] if matrixos else []
        framework = CORE.parts[0] if matrixos else "matrixswarm"
        done = run_python(python, _PROBE, json.dumps(folders), *_imported_by_the_agent(framework))
        if done.returncode:
            reason = last_line(done.stderr)
            return fault("library", f"{python} cannot import what the agent needs: {reason}", install)
        place, version = json.loads(done.stdout.splitlines()[-1])
    except (OSError, SwarmError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        return fault("library", f"whether {python} has the library could not be checked: {error}", install)
    if Path(place).resolve() != Path(network_health.__file__).resolve():
        return note(
            "library",
            f"{python} imports another copy, in {Path(place).parent}; this command runs from "
            f"{Path(network_health.__file__).parent}",
            f"make sure that both have the same version: {install} --upgrade",
        )
    return ok("library", f"{python} (Python {version}) imports the library and the framework")


def _imported_by_the_agent(framework: str) -> list[str]:
    """The modules of the library and of the package ``framework`` that the agent's file imports."""
    tree = ast.parse(payload_files()[f"{MATRIXSWARM.agent_folder}/{_AGENT_FILE}"])
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [name for name in names if name.split(".")[0] in {framework, "network_health"}]


def check_agent_files(workspace: Path) -> Iterator[Finding]:
    """Whether the workspace has this version's agents, and nothing that hides the library from them."""
    do = f"network-health install {shlex.quote(str(workspace))}"
    framework = framework_at(workspace)
    try:
        files = payload_files(framework).items()
        wanted = {name: data for name, data in files if name.startswith(f"{framework.agents}/")}
        wrong = [
            f"{name} {state}" for name, data in wanted.items() if (state := _state(workspace / name, data))
        ]
        if (workspace / framework.shadow).exists():
            wrong.append(f"{framework.shadow} hides the library from the agent")
    except (SwarmError, OSError) as error:
        if isinstance(error, PermissionError) or isinstance(error.__cause__, PermissionError):
            do = "run this as root, or as the user that boots the swarm"
        yield fault("agent", str(error), do)
        return
    if wrong:
        yield fault("agent", ", ".join(wrong), do)
    else:
        yield ok("agent", f"{framework.agent_folder}/{_AGENT_FILE} has this version")


def _state(path: Path, wanted: bytes) -> str:
    if not path.exists():
        return "is missing"
    if not path.is_file():
        return "is not a regular file"
    same = path.stat().st_size == len(wanted) and read_regular_file(path) == wanted
    return "" if same else "has another version, or was changed"
