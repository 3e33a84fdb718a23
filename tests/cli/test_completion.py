"""The completion script in real shells."""

import json
import os
import subprocess
from dataclasses import fields

import pytest

from network_health.cli.main import build_parser
from network_health.cli.parser import arguments, commands
from network_health.settings import Settings
from tests.cli.command import ENVIRONMENT, NETWORK_HEALTH, run

PATH = f"{os.path.dirname(NETWORK_HEALTH)}:{os.environ['PATH']}"
COMPLETE = """
source /dev/stdin
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_network_health
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words, cwd=None):
    """What bash offers for the last of these words."""
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", "network-health", *words],
        input=run("completion", "bash").stdout,
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env=ENVIRONMENT | {"PATH": PATH, "HOME": "/nowhere"},
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["d"], ["doctor", "demo"]),
        (["check", "--report-o"], ["--report-on"]),
        (["check", "--report-on", ""], ["check", "change"]),
        (["check", "--link-down-alerts", "o"], ["on", "off"]),
        (["check", "--conntrack-threshold-percent", ""], ["off"]),
        (["check", "--conn-threshold", ""], []),
        (["completion", ""], ["--help", "bash", "zsh", "fish"]),
        (["install", "--u"], ["--uninstall"]),
        (["nonsense", ""], []),
    ],
)
def test_bash(words, offered):
    """Commands, options, and the values of an option."""
    assert completed(*words) == offered


def test_bash_files_and_folders(tmp_path):
    """Files for an option or a command that takes a file, folders for a workspace."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "work.json").touch()
    assert sorted(completed("check", "--config", "wo", cwd=tmp_path)) == ["work.json", "workspace"]
    assert completed("doctor", "wo", cwd=tmp_path) == ["workspace"]
    assert sorted(completed("history", "wo", cwd=tmp_path)) == ["work.json", "workspace"]


def test_bash_interfaces():
    """The names of this host's interfaces, also after a comma in a list."""
    assert "lo" in completed("check", "--exclude-interfaces", "")
    assert completed("watch", "--exclude-interfaces", "l") == ["lo"]
    assert completed("check", "--exclude-interfaces", "veth*,l") == ["veth*,lo"]
    assert completed("history", "--interface", "l") == ["lo"]


def test_bash_directives(tmp_path):
    """Those of the workspace in the command line, else of the one that a swarm would boot from.

    A name that another user chose is left out if a shell would have to quote it.
    """
    one, other = (a_workspace(tmp_path / name) for name in ("one", "other"))
    for path in ("mine.py", "mine.json", "__init__.py", "notes.txt", "evil$(touch ran).py", "a\nb.py"):
        (one / "boot_directives" / path).touch()
    (other / "boot_directives" / "theirs.py").touch()
    (tmp_path / ".swarm").write_text(str(one))
    assert completed("doctor", "--directive", "", cwd=tmp_path) == ["mine", "mine.json"]
    assert completed("doctor", other, "--directive", "t", cwd=tmp_path) == ["theirs"]
    assert completed("doctor", other / "absent", "--directive", "", cwd=tmp_path) == []
    assert completed("doctor", "--directive", "", cwd="/") == []


def a_workspace(folder):
    """A folder that the framework boots from."""
    for part in ("agent", "boot_directives", "certs/https_certs", "certs/socket_certs"):
        (folder / part).mkdir(parents=True)
    (folder / ".matrix").write_text(json.dumps({"install_path": str(folder)}))
    return folder


def test_every_setting_is_completed():
    """Both scripts have every flag of a check, which keeps no history."""
    flags = ["--" + f.name.replace("_", "-") for f in fields(Settings) if "history" not in f.name]
    assert set(flags) <= set(completed("check", "--"))
    fish = run("completion", "fish").stdout
    assert all(f" -l {flag[2:]} " in fish for flag in flags)


def test_fish_has_every_argument():
    """One line for each command and each of its arguments."""
    parsers = commands(build_parser()).values()
    count = sum(1 + len(list(arguments(parser))) for parser in parsers)
    lines = run("completion", "fish").stdout.splitlines()
    assert len([line for line in lines if line.startswith("complete -c network-health -n ")]) == count


def test_zsh_gets_the_script_of_bash():
    """The script starts zsh's emulation of the completion of bash."""
    script = run("completion", "zsh").stdout
    assert script == run("completion", "bash").stdout
    assert "bashcompinit" in script
