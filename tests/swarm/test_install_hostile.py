"""Installing into a workspace of another user, who plants links, pipes and manifests in it."""

import hashlib
import json
import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from network_health.cli.main import main
from network_health.swarm.confined_folder import ConfinedFolder
from network_health.swarm.errors import SwarmError
from network_health.swarm.installation import install, uninstall
from network_health.swarm.workspace import Workspace
from tests.swarm.test_install import AGENT, DEMO, snapshot
from tests.swarm.test_install_interrupted import OWNER, small_workspace

MANIFEST = ".network_health/manifest.json"
#: Every folder on the way to a file that is installed, moved away or read.
FOLDERS = (
    *("agent", "agent/network_health", "agent/forensic_detective", "agent/forensic_detective/factory"),
    *("boot_directives", ".network_health", ".network_health/original", ".network_health/original/agent"),
)


@pytest.fixture
def outside(tmp_path):
    """A folder of root beside the workspace, with names as in a workspace."""
    folder = tmp_path / "outside"
    for name in (AGENT, DEMO, MANIFEST, "network_health.py", "factory/x.py", "empty/deep/x.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}" if name == MANIFEST else "# precious\n")
        (folder / name).chmod(0o600)
    (folder / "void").mkdir()
    return folder


@pytest.fixture
def workspace(tmp_path):
    """A workspace of another user."""
    return small_workspace(tmp_path / "workspace")


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("is_installed", [False, True])
def test_a_folder_that_is_a_link(workspace, outside, name, is_installed):
    """Whichever folder of the workspace is a link, nothing outside is changed or given away."""
    if is_installed:
        install(workspace)
    path = workspace.path / name
    if path.exists():
        path.rename(path.with_name("moved"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside / name if (outside / name).is_dir() else outside)
    before = snapshot(outside)
    for action in (install, uninstall):
        try:
            action(workspace)
        except SwarmError as error:
            assert f"{path} is a symbolic link or no folder" in str(error)  # noqa: PT017 - it may also succeed
        assert snapshot(outside) == before


def test_links_in_place_of_files(workspace, outside):
    """A link at the name of a file, or of a temporary file, never has its target written."""
    before = snapshot(outside)
    for name in (AGENT, DEMO):
        path = workspace.path / name
        path.unlink()
        path.symlink_to(outside / name)
        path.with_name(f".{path.name}.unfinished").symlink_to(outside / name)
    install(workspace)
    assert snapshot(outside) == before
    assert not (workspace.path / AGENT).is_symlink()
    uninstall(workspace)
    assert snapshot(outside) == before
    assert os.readlink(workspace.path / DEMO) == str(outside / DEMO)


@pytest.mark.parametrize("field", ["files", "originals", "folders"])
def test_a_manifest_with_a_linked_folder(workspace, outside, field):
    """It removes and moves nothing outside, even with the right hash, and the refusal names the link."""
    (workspace.path / "linked").symlink_to(outside)
    (workspace.path / ".network_health/original/linked").mkdir(parents=True)
    (workspace.path / ".network_health/original/linked/network_health.py").write_text("# planted\n")
    hash_ = hashlib.sha256(b"# precious\n").hexdigest()
    name = "linked/void" if field == "folders" else "linked/network_health.py"
    (workspace.path / MANIFEST).write_text(json.dumps({field: {name: hash_} if field == "files" else [name]}))
    before = snapshot(outside)
    with pytest.raises(SwarmError, match="workspace/linked is a symbolic link or no folder"):
        uninstall(workspace)
    assert snapshot(outside) == before


@pytest.mark.parametrize("name", ["../outside/void", "/etc/passwd", "", ".", "a/../../outside", "\ud800"])
@pytest.mark.parametrize("field", ["files", "originals", "folders", "earlier"])
def test_a_manifest_with_a_path_outside(workspace, outside, field, name):
    """An absolute path, or one with ``..``, is refused before anything is changed."""
    (workspace.path / ".network_health").mkdir()
    content = {field: {name: "x"} if field in {"files", "earlier"} else [name]}
    (workspace.path / MANIFEST).write_text(json.dumps(content))
    before = snapshot(workspace.path.parent)
    for action in (install, uninstall):
        with pytest.raises(SwarmError, match=r"manifest\.json is damaged"):
            action(workspace)
    assert snapshot(workspace.path.parent) == before


def ten_gigabytes(path):
    """A file that is large, but needs no space."""
    path.touch()
    os.truncate(path, 10 << 30)


@pytest.mark.parametrize(
    "plant",
    [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), ten_gigabytes, Path.mkdir],
    ids=["pipe", "device", "large", "folder"],
)
def test_no_file_in_place_of_a_file(workspace, plant, capsys):
    """In place of the agent it is moved away like a user's file; in place of the manifest it is refused."""
    for name in (AGENT, DEMO):
        (workspace.path / name).unlink()
        plant(workspace.path / name)
    install(workspace)
    (workspace.path / DEMO).unlink()
    plant(workspace.path / DEMO)
    (kept,) = install(workspace).kept
    assert kept.endswith(DEMO)
    (workspace.path / MANIFEST).unlink()
    plant(workspace.path / MANIFEST)
    assert main(["install", str(workspace.path)]) == 1
    assert "manifest.json is damaged" in capsys.readouterr().err


def test_a_workspace_that_becomes_a_link(workspace, outside):
    """A link that replaces the workspace, or a folder above it, after it was checked is not followed."""
    before = snapshot(outside)
    shutil.copytree(workspace.path, outside / "workspace", symlinks=True)
    before = snapshot(outside)
    above = workspace.path.parent / "above"
    for path in (workspace.path, above):
        if path == above:
            above.symlink_to(outside)
        else:
            path.rename(path.with_name("moved"))
            path.symlink_to(outside / "workspace")
        checked = Workspace(path if path != above else above / "workspace")
        for action in (install, uninstall):
            with pytest.raises(SwarmError, match=f"{path} is a symbolic link or no folder"):
                action(checked)
    assert snapshot(outside) == before


def swap_folders(workspace, outside):
    """In another process, as the owner of the workspace: replace folders by links and back, for ever."""
    child = os.fork()
    if child:
        return child
    try:
        os.setgroups([])
        os.setresgid(OWNER, OWNER, OWNER)
        os.setresuid(OWNER, OWNER, OWNER)
        while True:
            for name in FOLDERS:
                path = workspace.path / name
                aside = path.with_name("aside")
                try:
                    path.rename(aside)
                    path.symlink_to(outside)
                    path.unlink()
                    aside.rename(path)
                except OSError:
                    continue
    finally:
        os._exit(0)


@pytest.mark.root
def test_links_that_come_and_go_meanwhile(workspace, outside):
    """While root installs and uninstalls, the owner swaps folders for links: nothing outside is changed."""
    for folder in workspace.path.parents:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    before = snapshot(outside)
    child = swap_folders(workspace, outside)
    rounds = refused = 0
    try:
        # On a busy host the owner may not run for a while: without a refusal nothing was tried.
        while rounds < 100 or (not refused and rounds < 10_000):
            rounds += 1
            for action in (install, uninstall):
                try:
                    action(workspace)
                except SwarmError:
                    refused += 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert snapshot(outside) == before
    assert refused > 0


def test_a_pipe_that_is_put_in_place_of_a_file_meanwhile(tmp_path, monkeypatch):
    """It is no file that was installed: nothing is read from it, and nothing waits for it."""
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    monkeypatch.setattr(ConfinedFolder, "_kind", lambda self, name: stat.S_IFREG)  # as it was before
    with ConfinedFolder(tmp_path, "scratch") as folder:
        assert folder.read("pipe") is None
    os.close(writer)
