"""Runs ``network-health install``: installs the agent and its directives in a workspace, or removes them."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from network_health.cli.parser import Parser, add_workspace, examples
from network_health.swarm import (
    MATRIX,
    MATRIXOS,
    MATRIXSWARM,
    Outcome,
    Workspace,
    encrypt_again,
    encrypted_directives,
    install,
    launcher,
    matrixd,
    pointed_at,
    uninstall,
)

_UNIVERSE = "network-health-demo"
#: More sockets than the demo directive allows.
_BREACH = 3000
_BOOT = """\
# Boot the demo directive, as root or as a user that can write /matrix. The option
# --encryption-off makes the logs readable: leave it out for your own swarm."""
_STOP = "# Stop it:"


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``install``."""
    parser = subparsers.add_parser(
        "install",
        help="install the agent and its directives into a workspace of MatrixSwarm, or into MatrixOS",
        usage="network-health install [WORKSPACE] [--uninstall]",
        description="Installs the agent and its directives into a workspace of MatrixSwarm, or into the "
        "folder of MatrixOS. The reference agent of the same name is kept, and --uninstall restores it. "
        "Files that you changed are kept, too.",
        epilog=examples(
            "network-health install                             # the workspace that .swarm names",
            "network-health install ~/.matrixswarm",
            "network-health install ~/.matrixswarm --uninstall",
            "network-health install /matrix                     # MatrixOS",
        )
        + "\n\nexit status:\n  0  done, or nothing to do\n"
        "  1  it cannot be done, or --uninstall leaves something; the output says what",
    )
    add_workspace(parser)
    parser.add_argument(
        "--uninstall", action="store_true", help="remove them, and restore what was there before"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    workspace = Workspace.at(options.workspace) if options.workspace else Workspace.default()
    path = workspace.path
    if options.uninstall:
        outcome = uninstall(workspace)
        unchanged = f"{path} has nothing of network_health: nothing was changed."
        print(f"Uninstalled from {path}:" if outcome or outcome.left else unchanged)
        _print(outcome, "removed", "back from .network_health/original")
    else:
        outcome = install(workspace)
        print(f"Installed into {path}:" if outcome else f"{path} is up to date: nothing was changed.")
        _print(outcome, "removed, no longer needed", "moved to .network_health/original")
    changed = (*outcome.written, *outcome.removed, *outcome.originals)
    if any(name.startswith(MATRIXSWARM.agents + "/") for name in changed):
        print("\n" + _encrypted_before(path))
    if not options.uninstall:
        print("\n" + boot_commands(workspace))
    return int(bool(outcome.left))


def _encrypted_before(workspace: Path) -> str:
    """What has to be done with directives that were encrypted with the agent that was there before."""
    tool = _command("matrixswarm-encrypt-directive")
    known = encrypted_directives(workspace) or [workspace / "boot_directives" / "NAME.json"]
    return "\n".join(
        [
            "A directive that was encrypted with --clown-car or --hash-bang before this starts the old",
            "agent, or none at all. Encrypt it again, which prints a new key, and boot it with that key:",
            *(f"  {encrypt_again(workspace, path, tool)}" for path in known),
        ]
    )


def _print(outcome: Outcome, removed: str, originals: str) -> None:
    for what, names in (
        ("written", outcome.written),
        (removed, outcome.removed),
        (originals, outcome.originals),
        ("changed by you, kept as", outcome.kept),
        ("still there, remove it yourself", outcome.left),
    ):
        for name in names:
            print(f"  {what}: {name}")


def boot_commands(workspace: Workspace) -> str:
    """Shell commands, to be pasted, that boot the demo directive in ``workspace``, make it warn, and stop it.

    Raises:
        SwarmError: the framework's launchers are not installed.
    """
    if workspace.framework is MATRIXOS:
        return _matrixos_commands(workspace.path)
    plain = workspace.path / "boot_directives" / "network_health_demo.py"
    encrypted = shlex.quote(str(plain.with_suffix(".json")))
    encrypt = f"{_command('matrixswarm-encrypt-directive')} --in {shlex.quote(str(plain))} --out {encrypted}"
    boot = _command("matrixswarm-boot")
    lines = [_BOOT]
    if pointed_at(Path.cwd()) != workspace.path:  # the boot command would use another workspace
        lines += [f"cd {shlex.quote(str(workspace.path))}", f"{boot} --switch ."]
    directive = f'--encrypted-directive {encrypted} --swarm_key "$key"'
    lines += [
        f"key=$({encrypt})",
        f"{boot} --universe {_UNIVERSE} {directive} --encryption-off",
        *_breach(MATRIX / _UNIVERSE),
        _STOP,
        f"{_command('matrixswarm-kill')} --universe {_UNIVERSE} --cleanup",
        f"rm -r {MATRIX}/{_UNIVERSE} {encrypted}",
    ]
    return "\n".join(lines)


def _matrixos_commands(path: Path) -> str:
    directive = path / "boot_directives" / "network_health_demo.json"
    lines = [_BOOT, f"{matrixd.boot(path, directive, _UNIVERSE)} --encryption-off"]
    lines += _breach(path / matrixd.STATIC / _UNIVERSE)
    lines += [_STOP, matrixd.kill(path, _UNIVERSE)]
    return "\n".join([*lines, f"rm -r {shlex.quote(str(path))}/universes/*/{_UNIVERSE}"])


def _breach(logs: Path) -> list[str]:
    """Commands that make the agent warn, and show the lines of its log below ``logs``."""
    log = shlex.quote(str(logs / "latest/comm/net-health-1/logs/agent.log"))
    return [
        "",
        f"# Make it warn: {_BREACH} connections of this host to itself, for 20 seconds.",
        f"sleep 20 | {_python()} -m network_health.swarm.breach {_BREACH}",
        f"sleep 5; grep -e WARNING -e Recovered {log}",
        "",
    ]


def _python() -> str:
    """The command that starts this Python: its name if the shell finds it by that, else its path."""
    return "python" if shutil.which("python") == sys.executable else shlex.quote(sys.executable)


def _command(name: str) -> str:
    """The command of a launcher: its name if the shell finds it by that, else its path."""
    path = launcher(name)
    return name if shutil.which(name) == str(path) else shlex.quote(str(path))
