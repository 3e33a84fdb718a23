"""Failures of the command itself: full disks, huge numbers, Ctrl-C, internal errors."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from network_health.cli.main import main
from network_health.cli.nagios import UNKNOWN
from tests.cli.command import NETWORK_HEALTH, run

QUICK = ("--seconds", "0.2")


@pytest.mark.parametrize(("output", "status"), [(("--json",), 3), (("--nagios",), 3), ((), 3)])
def test_a_full_disk_is_an_error(output, status):
    """If the report cannot be written, the status is UNKNOWN."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [NETWORK_HEALTH, "check", *QUICK, *output],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == status
    assert done.stderr == "network-health: No space left on device\n"


def test_a_full_disk_behind_stderr():
    """An error message that cannot be written does not turn UNKNOWN into WARNING."""
    for words in (["--bad"], ["--config", "/nowhere"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [NETWORK_HEALTH, "check", *QUICK, *words], stdout=full, stderr=full, timeout=60, check=False
            )
        assert done.returncode == UNKNOWN


def test_an_unwritten_textfile_is_an_error_of_the_plugin():
    """The line and the exit status agree: both are UNKNOWN."""
    done = run(
        "check", *QUICK, "--nagios", "--conn-threshold", 10**9, "--prometheus-textfile", "/nowhere/a.prom"
    )
    assert done.returncode == UNKNOWN
    assert done.stdout.startswith("NETWORK UNKNOWN - prometheus_textfile: '/nowhere/a.prom' does not work (")
    assert "'connections'=" in done.stdout
    assert done.stderr == ""


def test_an_unexpected_error_is_unknown(monkeypatch, capsys):
    """An internal error is UNKNOWN, and the message says where it occurred."""

    def broken(settings, seconds):
        raise TypeError("a fault\x1b[2J")

    monkeypatch.setattr("network_health.cli.check.one_check", broken)
    assert main(["check"]) == UNKNOWN
    (sentence,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"network-health: internal error, please report it: "
        r"TypeError: a fault\?\[2J \(test_\w+.py, line \d+\)",
        sentence,
    )


@pytest.mark.parametrize("value", [10**30 + 1, 10**400, float("inf")])
def test_a_limit_has_a_maximum(tmp_path, value):
    """A number that no host can reach is an error, and its message is short."""
    path = tmp_path / "a.toml"
    path.write_text(f"conn_threshold = {hex(value) if isinstance(value, int) else value}")
    done = run("check", *QUICK, "--config", path)
    assert done.returncode == UNKNOWN
    assert len(done.stderr) < 300 + len(str(path))
    assert done.stderr.endswith("is not allowed; give a number of connections from -10^30 to 10^30\n")


def test_a_number_of_thousands_of_digits(tmp_path):
    """Python does not print such a number; it is an error in every kind of file."""
    digits = "f" * 8000
    for name, text in (
        ("a.toml", f"top_n_procs = 0x{digits}"),
        ("a.json", f'{{"top_n_procs": {"9" * 8000}}}'),
    ):
        path = tmp_path / name
        path.write_text(text)
        done = run("check", *QUICK, "--config", path)
        assert (done.returncode, done.stderr.count("\n")) == (UNKNOWN, 1)
        assert len(done.stderr) < 200 + len(str(path))


def test_it_says_its_version():
    """The version is printed as in the package."""
    assert re.fullmatch(r"network-health \d+\.\d+\.\d+\S*\n", run("--version").stdout)


#: Writes a line when the command handles Ctrl-C, which is just before it imports the rest of itself.
STARTED = """
import sys
from network_health.cli.entry import run
class Announcer:
    def find_spec(self, name, path=None, target=None):
        if name == "network_health.cli.main":
            print(flush=True)
sys.meta_path.insert(0, Announcer())
sys.exit(run())
"""


@pytest.mark.parametrize("words", [("check",), ("doctor",), ("watch", "--help")])
@pytest.mark.parametrize("after_s", [0, 0.03, 0.06, 0.12, 0.25])
def test_it_can_be_interrupted_from_the_start(words, after_s):
    """Ctrl-C during the imports, or later, ends the command without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=30)[1]
    assert "Traceback" not in stderr
    assert process.returncode in {-signal.SIGINT, 130, 0}


def test_an_ignored_sigint_stays_ignored():
    """nohup starts a command like that."""
    words = [sys.executable, "-c", STARTED, "check", *QUICK, "--json"]
    start = f"import os, signal; signal.signal(2, signal.SIG_IGN); os.execv({words[0]!r}, {words!r})"
    process = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert '"status"' in process.communicate(timeout=30)[0]
    assert process.returncode in {0, 1}
