"""Installing and uninstalling are interrupted at every operation on files, by a kill or a full disk."""

import errno
import itertools
import json
import os
import sys

import pytest

from network_health.swarm import installation
from network_health.swarm.installation import install, uninstall
from network_health.swarm.payload import payload_files
from network_health.swarm.workspace import Workspace
from tests.swarm.test_install import AGENT, DEMO, snapshot, without_times

pytestmark = pytest.mark.slow

#: The audit events of operations that change files; see "Audit events table" in Python's documentation.
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "shutil.move"}
CUT, DONE = 3, 4
OWNER = 12345


def small_workspace(path):
    """A workspace with the stock agent and files of a user, where files will be installed."""
    for folder in (
        "agent/network_health/factory",
        "boot_directives",
        "certs/https_certs",
        "certs/socket_certs",
    ):
        (path / folder).mkdir(parents=True)
    (path / ".matrix").write_text(json.dumps({"install_path": str(path)}))
    for name in ("agent/network_health/__init__.py", AGENT, "agent/network_health/factory/own.py", DEMO):
        (path / name).write_text("# before\n")
    (path / AGENT).chmod(0o600)
    (path / "boot_directives/network_health_reference.py").symlink_to("../elsewhere.py")
    if os.geteuid() == 0:
        for each in (path, *path.rglob("*")):
            os.chown(each, OWNER, OWNER, follow_symlinks=False)
    return Workspace.at(path)


def newer_install(workspace):
    """Install a version that has other files."""
    kept = {name: content + b"# newer\n" for name, content in payload_files().items() if name != DEMO}
    installation.payload_files = lambda _: kept | {"agent/forensic_detective/factory/deep/__init__.py": b""}
    try:
        return install(workspace)
    finally:
        installation.payload_files = payload_files


def interrupted(act, workspace, number, end):
    """Run ``act`` in a process that ends before the operation of this number; whether it came so far."""
    child = os.fork()
    if child == 0:
        numbers = itertools.count()

        def hook(event, arguments):
            is_change = event in CHANGES or (event == "open" and (arguments[2] or 0) & os.O_CREAT)
            if is_change and next(numbers) == number:
                end()

        sys.addaudithook(hook)
        try:
            act(workspace)
        except BaseException:  # noqa: BLE001 - the child must end here
            os._exit(CUT)
        os._exit(DONE)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {CUT, DONE}
    return status == CUT


def killed():
    """End like a process that was killed."""
    os._exit(CUT)


def disk_is_full():
    """Refuse the operation."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def earlier(act, workspace):
    """What was done before ``act``."""
    if act is not install:
        install(workspace)


@pytest.mark.parametrize(
    ("act", "end"), [(install, killed), (install, disk_is_full), (newer_install, killed), (uninstall, killed)]
)
def test_uninstalling_after_an_interruption_leaves_nothing(tmp_path, act, end):
    """Whatever operation was the last one, uninstalling restores the workspace as it was before."""
    for number in itertools.count():
        workspace = small_workspace(tmp_path / str(number))
        before = snapshot(workspace.path)
        earlier(act, workspace)
        was_cut = interrupted(act, workspace, number, end)
        outcome = uninstall(workspace)
        assert (number, outcome.left, snapshot(workspace.path)) == (number, (), before)
        if not was_cut:
            break
    assert number >= 30


@pytest.mark.parametrize("act", [install, newer_install, uninstall])
def test_the_next_run_completes_an_interrupted_one(tmp_path, act):
    """Whatever operation was the last one, the next run has the result of one that was not interrupted."""
    expected = small_workspace(tmp_path / "expected")
    earlier(act, expected)
    act(expected)
    for number in itertools.count():
        workspace = small_workspace(tmp_path / str(number))
        earlier(act, workspace)
        was_cut = interrupted(act, workspace, number, killed)
        act(workspace)
        (workspace.path / ".matrix").write_bytes((expected.path / ".matrix").read_bytes())
        assert without_times(snapshot(workspace.path)) == without_times(snapshot(expected.path)), number
        if not was_cut:
            break
    assert number >= 30
