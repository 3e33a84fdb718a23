"""Completion at the prompt of a real shell, with the tab key."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from tests.cli.command import ENVIRONMENT, run
from tests.cli.test_completion import PATH, a_workspace

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D"),
}


class Prompt:
    """A shell on a terminal of its own, which has loaded the completion script as its help says."""

    def __init__(self, shell, folder):
        command, setup = SHELLS[shell]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, ENVIRONMENT | {"PATH": PATH, "HOME": str(folder), "TERM": "dumb"})
        self.output = ""
        self.type(f"{setup}; PS1=; source <(network-health completion {shell}); echo re''ady\n")
        self.read_until("ready")

    def type(self, text):
        """Type these keys."""
        os.write(self.terminal, text.encode())

    def read_until(self, pattern):
        """Wait until the output matches; returns it."""
        deadline = time.monotonic() + 30
        while not re.search(pattern, self.output):
            assert time.monotonic() < deadline, self.output
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.output += os.read(self.terminal, 65536).decode(errors="replace")
        shown, self.output = self.output, ""
        return shown

    def close(self):
        """End the shell."""
        os.close(self.terminal)  # the shell gets SIGHUP
        os.waitpid(self.pid, 0)


@pytest.fixture(params=SHELLS)
def prompt(request, tmp_path):
    """A prompt in an empty folder."""
    opened = Prompt(request.param, tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("network-health doc\t", "network-health doctor"),
        ("network-health check --report-o\t", "--report-on"),
        ("network-health check --report-on cha\t", "change"),
        ("network-health check --config sett\t", r"settings\.toml"),
        ("network-health check --exclude-interfaces l\t", r"lo"),
        ("network-health history --interface l\t", r"lo"),
    ],
)
def test_the_tab_key_completes(prompt, tmp_path, typed, shown):
    """A command, an option, a value of an option, a file."""
    (tmp_path / "settings.toml").touch()
    prompt.type(typed)
    prompt.read_until(shown)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("network-health doc", ["doctor"]),
        ("network-health check --report-o", ["--report-on"]),
        ("network-health check --report-on ", ["change", "check"]),
        ("network-health completion ", ["bash", "fish", "zsh"]),
        ("network-health check --config sett", ["settings.toml"]),
        ("network-health check --exclude-interfaces l", ["lo"]),
        ("network-health check --exclude-interfaces veth*,l", ["veth*,lo"]),
        ("network-health history --interface l", ["lo"]),
        ("network-health doctor workspace --directive m", ["mine"]),
    ],
)
def test_fish_offers(tmp_path, words, offered):
    """What fish offers with the script installed as its help says."""
    (tmp_path / "settings.toml").touch()
    (a_workspace(tmp_path / "workspace") / "boot_directives" / "mine.py").touch()
    (tmp_path / "network-health.fish").write_text(run("completion", "fish").stdout)
    script = f"source network-health.fish; complete -C '{words}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=tmp_path,
        env=ENVIRONMENT | {"HOME": str(tmp_path), "PATH": PATH},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert sorted(line.partition("\t")[0] for line in done.stdout.splitlines()) == offered
