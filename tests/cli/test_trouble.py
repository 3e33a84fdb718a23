"""What goes wrong around the command, not on the host: disks, numbers, Ctrl-C, mistakes of its own."""

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
def test_a_full_disk_is_a_sentence(output, status):
    """Where the answer cannot be written, the status says that there is none."""
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


def test_a_full_disk_behind_stderr_too():
    """A sentence that cannot be written does not turn UNKNOWN into WARNING."""
    for words in (["--bad"], ["--config", "/nowhere"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [NETWORK_HEALTH, "check", *QUICK, *words], stdout=full, stderr=full, timeout=60, check=False
            )
        assert done.returncode == UNKNOWN


def test_figures_that_were_not_written_are_told_to_a_plugin():
    """The line and the status say the same: there is no OK with status 3."""
    done = run(
        "check", *QUICK, "--nagios", "--conn-threshold", 10**9, "--prometheus-textfile", "/nowhere/a.prom"
    )
    assert done.returncode == UNKNOWN
    assert done.stdout.startswith("NETWORK UNKNOWN - prometheus_textfile: '/nowhere/a.prom' does not work (")
    assert "'connections'=" in done.stdout
    assert done.stderr == ""


def test_what_nobody_foresaw_is_no_warning(monkeypatch, capsys):
    """An error of the program's own is UNKNOWN, in a sentence that says where it arose."""

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
def test_no_figure_is_beyond_all_figures(tmp_path, value):
    """A number that no host reaches is refused, in a sentence that a terminal can show."""
    path = tmp_path / "a.toml"
    path.write_text(f"conn_threshold = {hex(value) if isinstance(value, int) else value}")
    done = run("check", *QUICK, "--config", path)
    assert done.returncode == UNKNOWN
    assert len(done.stderr) < 300 + len(str(path))
    assert done.stderr.endswith("is not allowed; give a whole number of connections from 0 to 10^30\n")


def test_a_number_of_thousands_of_digits(tmp_path):
    """More than Python would write: refused all the same, in whatever kind of file."""
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
    """For a report of a mistake, and to see what is installed."""
    assert re.fullmatch(r"network-health \d+\.\d+\.\d+\S*\n", run("--version").stdout)


STARTED = "import sys; from network_health.cli.entry import run; print(flush=True); sys.exit(run())"


@pytest.mark.parametrize("words", [("check",), ("doctor",), ("watch", "--help")])
@pytest.mark.parametrize("after_s", [0, 0.03, 0.06, 0.12, 0.25])
def test_it_can_be_interrupted_from_the_start(words, after_s):
    """Ctrl-C while everything is still being imported, or later: it ends, without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert "Traceback" not in said
    assert process.returncode in {-signal.SIGINT, 130, 0}


def test_what_ignores_ctrl_c_goes_on_doing_so():
    """As nohup, or a shell's background, starts it."""
    words = [sys.executable, "-c", STARTED, "check", *QUICK, "--json"]
    start = f"import os, signal; signal.signal(2, signal.SIG_IGN); os.execv({words[0]!r}, {words!r})"
    process = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert '"status"' in process.communicate(timeout=30)[0]
    assert process.returncode in {0, 1}
