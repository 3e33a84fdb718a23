"""``network-health install``: the agent and its directives into a workspace, and out again."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from network_health.cli.parser import Parser, examples
from network_health.swarm import MATRIX, Outcome, Workspace, install, launcher, pointed_at, uninstall

_UNIVERSE = "network-health-demo"
#: More sockets than the demo directive allows.
_BREACH = 3000


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Make ``install`` known."""
    parser = subparsers.add_parser(
        "install",
        help="put the agent and its directives into a MatrixSwarm workspace",
        usage="network-health install [WORKSPACE] [--uninstall]",
        description="Puts the agent and its directives into a MatrixSwarm workspace. The stock agent of the "
        "same name is kept and comes back with --uninstall; what you changed of ours is kept, too.",
        epilog=examples(
            "network-health install                             # where .swarm points to",
            "network-health install ~/.matrixswarm",
            "network-health install ~/.matrixswarm --uninstall",
        )
        + "\n\nexit status:\n  0  done, or nothing to do\n  1  it cannot be done; the sentence says why",
    )
    parser.add_argument(
        "workspace",
        nargs="?",
        type=Path,
        metavar="WORKSPACE",
        help="default: the one that the .swarm pointer names, from this folder upwards or at home",
    )
    parser.add_argument(
        "--uninstall", action="store_true", help="restore the workspace to what it was before"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    workspace = Workspace.at(options.workspace) if options.workspace else Workspace.default()
    if options.uninstall:
        _tell_uninstalled(workspace, uninstall(workspace))
    else:
        _tell_installed(workspace, install(workspace))
        print("\n" + boot_commands(workspace))
    return 0


def _tell_installed(workspace: Workspace, outcome: Outcome) -> None:
    if not outcome:
        print(f"{workspace.path} is up to date: nothing was changed.")
        return
    print(f"Installed into {workspace.path}:")
    _list("written", outcome.written)
    _list("removed, no longer needed", outcome.removed)
    _list("moved to .network_health/original", outcome.originals)
    _list("changed by you, kept as", outcome.kept)


def _tell_uninstalled(workspace: Workspace, outcome: Outcome) -> None:
    if not outcome:
        print(f"{workspace.path} has nothing of network_health: nothing was changed.")
        return
    print(f"Uninstalled from {workspace.path}:")
    _list("removed", outcome.removed)
    _list("back from .network_health/original", outcome.originals)
    _list("changed by you, kept as", outcome.kept)


def _list(what: str, names: tuple[str, ...]) -> None:
    for name in names:
        print(f"  {what}: {name}")


def boot_commands(workspace: Workspace) -> str:
    """Shell commands that boot the demo directive in ``workspace``, make it warn, and end it; can be pasted.

    Raises:
        SwarmError: the framework's launchers are not installed.
    """
    plain = workspace.path / "boot_directives" / "network_health_demo.py"
    encrypted = shlex.quote(str(plain.with_suffix(".json")))
    encrypt = f"{_command('matrixswarm-encrypt-directive')} --in {shlex.quote(str(plain))} --out {encrypted}"
    boot = _command("matrixswarm-boot")
    lines = ["# Boot the demo directive there, as root or whoever may write /matrix. Your own swarm: without"]
    lines += ["# --encryption-off, which is here so that the logs can be read."]
    if pointed_at(Path.cwd()) != workspace.path:  # a boot from here would use another workspace
        lines += [f"cd {shlex.quote(str(workspace.path))}", f"{boot} --switch ."]
    directive = f'--encrypted-directive {encrypted} --swarm_key "$key"'
    lines += [
        f"key=$({encrypt})",
        f"{boot} --universe {_UNIVERSE} {directive} --encryption-off",
        "",
        f"# See it warn: {_BREACH} connections of this host to itself, for 20 seconds.",
        f"sleep 20 | {_python()} -m network_health.swarm.breach {_BREACH}",
        f"sleep 5; grep -e WARNING -e Recovered {MATRIX}/{_UNIVERSE}/latest/comm/net-health-1/logs/agent.log",
        "",
        "# And end it:",
        f"{_command('matrixswarm-kill')} --universe {_UNIVERSE} --cleanup",
        f"rm -r {MATRIX}/{_UNIVERSE} {encrypted}",
    ]
    return "\n".join(lines)


def _python() -> str:
    """This Python, by its name where the shell finds it so."""
    return "python" if shutil.which("python") == sys.executable else shlex.quote(sys.executable)


def _command(name: str) -> str:
    """Just the name where the shell finds the right one by it, else its full path."""
    path = launcher(name)
    return name if shutil.which(name) == str(path) else shlex.quote(str(path))
