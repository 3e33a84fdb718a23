"""The completion script in real shells."""

import subprocess
from dataclasses import fields

import pytest

from network_health.cli.main import build_parser
from network_health.cli.parser import arguments, commands
from network_health.settings import Settings
from tests.cli.command import run

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
