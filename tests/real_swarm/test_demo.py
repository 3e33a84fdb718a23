"""The demonstration as an operator sees it, ended as an operator may end it; nothing of it may be left."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from network_health.cli.main import main
from network_health.swarm import demo
from network_health.swarm.errors import SwarmError
from tests.rights import as_nobody
from tests.tree import ROOT

pytestmark = [pytest.mark.root, pytest.mark.swarm]

COMMAND = Path(sys.executable).parent / "network-health"
REPORT = re.compile(
    r"^(?P<clock>\d\d:\d\d:\d\d)  (?P<severity>[A-Z]+) +(?P<details>.+?)  \[sockets (?P<sockets>\d+)"
    r"(, \S+ out [\d.]+ in [\d.]+ Mbps)?, .+ \(\d+\) [\d.]+ % CPU\]$"
)


def documented_output():
    """The demonstration in the README."""
    text = (ROOT / "README.md").read_text()
    return re.search(r"<!-- demo -->\n```\n(.*?\n)```\n<!-- /demo -->", text, re.DOTALL)[1]


def without_values(output):
    """The lines without their numbers, but for those of reports, of which a busy host shows more or fewer."""
    lines = [line for line in output.splitlines() if line and not REPORT.match(line)]
    return [re.sub(r"nh-\S+|[\d.]+", "0", line) for line in lines]


class Running:
    """A demonstration in a process of its own, with a HOME, a working and a temporary folder of its own."""

    def __init__(self, folder):
        self.folders = [folder / name for name in ("home", "here", "temporary")]
        home, here, temporary = self.folders
        for path in self.folders:
            path.mkdir()
        self.process = subprocess.Popen(
            [COMMAND, "demo"],
            cwd=here,
            env=os.environ | {"HOME": str(home), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.output = ""

    def read_until(self, text):
        """Read its output until it contains ``text``."""
        os.set_blocking(self.process.stdout.fileno(), False)
        deadline = time.monotonic() + 90
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            self.output += (self.process.stdout.read() or b"").decode()
            time.sleep(0.02)

    def finish(self):
        """Wait for its end; the rest of its output is added. Returns what it complained of."""
        try:
            rest, complaints = self.process.communicate(timeout=90)
        finally:
            self.process.kill()
        self.output += rest.decode()
        return complaints.decode()

    @property
    def universe(self):
        """The name that it gave its universe."""
        return re.search(r"universe (nh-[\w-]+)", self.output)[1]

    def leavings(self):
        """Files, folders and living processes that are still there."""
        files = [str(path) for folder in self.folders for path in folder.rglob("*")]
        commands = subprocess.run(
            ["ps", "-eo", "stat,args"], capture_output=True, text=True
        ).stdout.splitlines()
        held = [line for line in commands if f"--job {self.universe}" in line and not line.startswith("Z")]
        root = Path("/matrix") / self.universe
        return files + held + [str(root)] * root.exists()


@pytest.fixture
def running(tmp_path):
    """A demonstration that has just begun."""
    begun = Running(tmp_path)
    yield begun
    if begun.process.poll() is None:
        begun.process.terminate()
        begun.process.wait(60)


def test_it_shows_a_breach_and_its_end(running):
    """Healthy, then the warning that names the breach, then healthy; with figures of this host; no trace."""
    assert running.finish() == ""
    assert running.process.returncode == 0
    reports = [match for line in running.output.splitlines() if (match := REPORT.match(line))]
    breached = ["High connection count" in report["details"] for report in reports]
    first, last = breached.index(True), len(breached) - breached[::-1].index(True)
    assert 0 < first < last < len(reports)
    limit = int(re.search(r"the limit is (\d+) sockets", running.output)[1])
    for report in reports:
        sockets = int(report["sockets"])
        if "High connection count" in report["details"]:
            assert f"High connection count: {sockets} > {limit}" in report["details"]
            assert report["severity"] == "WARNING"
        else:
            assert sockets <= limit
    assert without_values(documented_output()) == without_values(running.output)
    assert "encryption is off" in running.output
    assert "Nothing is left of it." in running.output
    assert running.leavings() == []


@pytest.mark.parametrize(
    ("moment", "number", "status"),
    [
        ("making a workspace", signal.SIGINT, 130),
        ("launching matrix", signal.SIGTERM, 143),
        ("starting forensic-1", signal.SIGINT, 130),
        ("Opening", signal.SIGINT, 130),
        ("WARNING", signal.SIGHUP, 129),
    ],
)
def test_it_can_be_stopped_at_any_moment(running, moment, number, status):
    """Whatever it was doing, everything is taken down, even if the one who stops it is impatient."""
    running.read_until(moment)
    running.process.send_signal(number)
    time.sleep(0.1)
    running.process.send_signal(number)
    complaints = running.finish()
    assert "Traceback" not in complaints
    assert running.process.returncode == status
    assert "Nothing is left of it." in running.output
    assert running.leavings() == []


def test_a_reader_that_goes_away_stops_it(running):
    """``network-health demo | head -1`` ends without a complaint and without a trace."""
    running.read_until("universe nh-")
    running.process.stdout.close()
    complaints = running.process.stderr.read().decode()
    assert running.process.wait(60) == 141
    assert complaints == ""
    assert running.leavings() == []


def test_a_step_that_does_not_happen_is_said(monkeypatch):
    """Past its deadline the demonstration fails, names the step, and leaves nothing."""
    monkeypatch.setattr(demo, "_REPORT_S", 0.1)
    output = io.StringIO()
    with pytest.raises(SwarmError, match="a first report did not reach forensic-1 within 0 s"):
        demo.run_demo(output)
    assert "Nothing is left of it." in output.getvalue()
    universe = re.search(r"universe (nh-[\w-]+)", output.getvalue())[1]
    assert not (Path("/matrix") / universe).exists()


def test_without_the_right_to_write_matrix_it_says_what_helps(capfd):
    """One sentence with the command, before anything else."""
    assert as_nobody(lambda: main(["demo"])) == "1"
    written = capfd.readouterr()
    assert written.out == ""
    (sentence,) = written.err.splitlines()
    assert re.search(r"cannot write: run `sudo .+`$", sentence)
