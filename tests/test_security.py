"""docs/security.md: modes of files, what is listened on, what a report may never hold, what rights open."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from network_health import Monitor, Settings
from network_health.alerting import AlertState
from network_health.delivery.outbox import Outbox
from network_health.delivery.saved_state import MonitorState, SavedState
from network_health.export.textfile import write_textfile
from network_health.history import Store
from network_health.swarm import SingleInstance
from tests.tree import DOCS

PAGE = (DOCS / "security.md").read_text()
SECRET = "hunter2-is-the-password"


@pytest.fixture
def open_mask():
    """Files get the mode that they are made with."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path):
    return f"{path.stat().st_mode & 0o777:04o}"


def test_files_have_the_modes_of_the_page(open_mask, tmp_path):
    """Each kind of file, made by what makes it; none is there that the page does not have."""
    queue = tmp_path / "queue"
    queue.mkdir(mode=0o700)
    (queue / "network-health-000000000001-1.report").touch(mode=0o600)  # damaged: it is empty
    outbox = Outbox(queue, agent="a", boot_id="b", log=lambda line: None)
    outbox.add({"severity": "WARNING", "metrics": {}}, ["nobody"])
    SavedState(queue / "network-health-state.json", "b", print).save(MonitorState(None, AlertState()))
    SingleInstance(queue, print).acquire()
    Store(queue / "network-health-history.sqlite", 1 << 20).close()
    rows = dict(re.findall(r"\| `(network-health-\S+)` .+? \| (\d{4}) \|", PAGE))
    found = {path.name: mode_of(path) for path in queue.iterdir()}
    assert len(found) == len(rows) == 6
    for name, mode in rows.items():
        (seen,) = (found[file] for file in found if re.fullmatch(name.replace("*", r"[0-9-]*"), file))
        assert seen == mode, name
    write_textfile(tmp_path / "a.prom", b"")
    assert f"the file that it names | {mode_of(tmp_path / 'a.prom')} |" in PAGE


@pytest.mark.root
def test_nothing_is_listened_on(namespace):
    """While it looks at everything it can, the monitor has no socket of TCP, UDP or the raw kind."""

    def sockets_of_a_monitor():
        monitor = Monitor(Settings.from_mapping({"conn_threshold": 0, "process_network": "always"}))
        monitor.check()
        tables = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
        return [
            line
            for name in tables
            for line in Path("/proc/thread-self/net", name).read_text().splitlines()[1:]
        ]

    assert namespace().call(sockets_of_a_monitor) == []


def test_no_argument_of_a_command_is_in_a_report():
    """Of every process of the host; whether it keeps its arguments apart or as a title."""
    script = "import sys, time; print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", script, SECRET], stdout=subprocess.PIPE)
    try:
        child.stdout.read(1)
        monitor = Monitor(Settings.from_mapping({"top_n_procs": 1000, "conn_threshold": 0}))
        content = monitor.check().as_content()
    finally:
        child.kill()
        child.communicate()
    assert child.pid in [process["pid"] for process in content["metrics"]["top_procs"]]
    assert SECRET not in json.dumps(content)


@pytest.mark.root
@pytest.mark.parametrize(
    ("capabilities", "opens"),
    [
        ("-all", False),
        ("+sys_ptrace", False),
        ("+dac_read_search", False),
        ("+sys_ptrace,+dac_read_search", True),
    ],
)
def test_what_rights_open(capabilities, opens):
    """Others' processes show their sockets and their I/O to one who has both capabilities, not to less."""
    child = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE)
    look = f"readlink /proc/{child.pid}/fd/0 && cat /proc/{child.pid}/io"
    ids = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    caps = [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    try:
        done = subprocess.run(["setpriv", *ids, *caps, "sh", "-c", look], capture_output=True, check=False)
    finally:
        child.kill()
        child.communicate()
    assert (done.returncode == 0) is opens, done.stderr
    assert PAGE.count("| CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH |") == 2
