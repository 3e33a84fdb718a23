"""Installing into workspaces that the framework's own ``--init`` made, and uninstalling."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from matrixswarm.site_boot import find_swarm_pointer

from network_health.cli import install as command
from network_health.cli.install import boot_commands
from network_health.cli.main import main
from network_health.swarm import installation, matrix_root
from network_health.swarm.booting import launcher
from network_health.swarm.errors import SwarmError
from network_health.swarm.installation import install, uninstall
from network_health.swarm.payload import payload_files
from network_health.swarm.workspace import Workspace, pointed_at
from tests.rights import as_nobody
from tests.tree import ROOT

AGENT = "agent/network_health/network_health.py"
DEMO = "boot_directives/network_health_demo.py"


@pytest.fixture(scope="session")
def initialised(tmp_path_factory):
    """A workspace made by the framework."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run(
        [launcher("matrixswarm-boot"), "--init", "--install-path", home / "workspace"],
        cwd=home,
        env=os.environ | {"HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return home / "workspace"


@pytest.fixture
def workspace(initialised, tmp_path):
    """A workspace for one test."""
    return copy_of(initialised, tmp_path / "workspace")


def copy_of(initialised, path):
    """A copy of the workspace in another folder, as if it had been made there."""
    shutil.copytree(initialised, path, symlinks=True)
    places = json.loads((path / ".matrix").read_text())
    moved = {name: place.replace(str(initialised), str(path)) for name, place in places.items()}
    (path / ".matrix").write_text(json.dumps(moved))
    return Workspace.at(path)


def snapshot(folder):
    """Everything in a folder: type, mode and owner; of files also content and time."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        detail = (stat.filemode(info.st_mode), info.st_uid, info.st_gid)
        if path.is_symlink():
            detail += (os.readlink(path),)
        elif path.is_file():
            detail += (path.read_bytes(), info.st_mtime_ns)
        entries[str(path.relative_to(folder))] = detail
    return entries


def add_user_files(path):
    """Put files of a user where files will be installed."""
    (path / "agent/network_health/factory").mkdir()
    (path / "agent/network_health/factory/own.py").write_text("# my own\n")
    (path / "agent/network_health/network_health.py").chmod(0o600)
    (path / DEMO).write_text("# my own demo\n")
    (path / "elsewhere.py").write_text("# linked\n")
    (path / "boot_directives/network_health_reference.py").symlink_to("../elsewhere.py")


@pytest.mark.parametrize("with_user_files", [False, True], ids=["new", "with user files"])
def test_uninstall_restores_everything(workspace, with_user_files):
    """Contents, modes, times, links and folders are the same as before."""
    if with_user_files:
        add_user_files(workspace.path)
    before = snapshot(workspace.path)
    install(workspace)
    assert snapshot(workspace.path) != before
    uninstall(workspace)
    assert snapshot(workspace.path) == before


def test_what_is_installed(workspace):
    """Every file of the payload is installed unchanged, and the framework's agent is kept."""
    stock = snapshot(workspace.path / "agent/network_health")
    outcome = install(workspace)
    assert sorted(outcome.written) == sorted(payload_files())
    assert outcome.originals == ("agent/network_health",)
    for name, content in payload_files().items():
        path = workspace.path / name
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert snapshot(workspace.path / ".network_health/original/agent/network_health") == stock


def test_the_payload_is_complete():
    """It has all files of the agents and the directives, but no compiled files."""
    expected = {
        f"{place}/{path.relative_to(ROOT / part).as_posix()}"
        for part, place in (("agent", "agent"), ("directives", "boot_directives"))
        for path in (ROOT / part).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert set(payload_files()) == expected
    assert {AGENT, DEMO, "boot_directives/network_health_reference.py"} <= expected


def test_the_library_is_not_shadowed(workspace):
    """An ``__init__.py`` in the agent's folder would hide the library, so it is moved away."""
    install(workspace)
    shadow = workspace.path / "agent/network_health/__init__.py"
    assert not shadow.exists()
    shadow.write_text("")
    assert [Path(kept).name for kept in install(workspace).kept] == ["__init__.py"]
    assert not shadow.exists()


def test_a_second_run_changes_nothing(workspace, capsys):
    """No content and no time changes, and the command says so."""
    assert main(["install", str(workspace.path)]) == 0
    before = snapshot(workspace.path)
    capsys.readouterr()
    assert main(["install", str(workspace.path)]) == 0
    assert snapshot(workspace.path) == before
    assert "up to date: nothing was changed" in capsys.readouterr().out


def test_what_a_user_changed_is_kept(workspace, capsys):
    """Install and uninstall keep the changed file and print where it is."""
    path = workspace.path / AGENT
    for arguments in (["install"], ["install", "--uninstall"]):
        install(workspace)
        path.write_text("# changed\n")
        capsys.readouterr()
        assert main([*arguments, str(workspace.path)]) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "changed by you" in line]
        kept = workspace.path / line.partition(": ")[2]
        assert kept.read_text() == "# changed\n"
        assert kept.name == path.name
        assert path.read_text() != "# changed\n"
    assert len(list((workspace.path / ".network_health/changed").rglob("*.py"))) == 2


def test_what_a_user_added_is_kept(workspace):
    """A user's file beside the installed ones is never deleted."""
    install(workspace)
    (workspace.path / "agent/network_health/notes.txt").write_text("mine\n")
    install(workspace)
    (name,) = uninstall(workspace).kept
    assert (workspace.path / name / "notes.txt").read_text() == "mine\n"
    assert (workspace.path / "agent/network_health/__init__.py").exists()


def test_an_installed_file_never_becomes_a_backup(workspace):
    """After the backup was deleted, an installed file is not taken for the original."""
    install(workspace)
    shutil.rmtree(workspace.path / ".network_health/original")
    install(workspace)
    uninstall(workspace)
    assert not (workspace.path / "agent/network_health").exists()


def test_an_equal_file_that_was_there_before_is_restored(workspace):
    """A copy that a user made by hand belongs to the user."""
    (workspace.path / DEMO).write_bytes(payload_files()[DEMO])
    before = snapshot(workspace.path)
    install(workspace)
    uninstall(workspace)
    assert snapshot(workspace.path) == before


def test_a_newer_version_replaces_an_older_one(workspace, monkeypatch):
    """Changed files are replaced, new ones added, dropped ones removed; none counts as a user's."""
    (workspace.path / DEMO).write_text("# mine\n")
    before = snapshot(workspace.path)
    install(workspace)
    deep = "agent/forensic_detective/factory/deep/er/__init__.py"
    newer = {AGENT: b"# newer\n", deep: b"", "boot_directives/another.py": b"# new\n"}
    monkeypatch.setattr(installation, "payload_files", lambda _: newer)
    outcome = install(workspace)
    assert sorted(outcome.written) == sorted(newer)
    assert DEMO in outcome.removed
    assert outcome.kept == ()
    assert (workspace.path / DEMO).read_text() == "# mine\n"
    assert (workspace.path / AGENT).read_bytes() == b"# newer\n"
    uninstall(workspace)
    assert snapshot(workspace.path) == before


def without_times(entries):
    """A snapshot without times, which is the same after a file was written twice."""
    return {name: detail[:4] for name, detail in entries.items()}


@pytest.mark.root
def test_files_belong_to_the_workspaces_owner(workspace):
    """Files that root installs belong to the workspace's owner, and are readable whatever the umask is."""
    for path in (workspace.path, *workspace.path.rglob("*")):
        os.chown(path, 12345, 23456)
    umask = os.umask(0o077)
    try:
        install(workspace)
    finally:
        os.umask(umask)
    for path in workspace.path.rglob("*"):
        info = path.stat()
        assert (info.st_uid, info.st_gid) == (12345, 23456), path
        assert stat.S_IMODE(info.st_mode) & 0o044 == 0o044, path


def refusal(capsys, *arguments):
    """The one sentence that a failed command prints."""
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith("network-health: ")
    return output.err


def test_no_workspace(tmp_path, monkeypatch, capsys):
    """Without a pointer there is no default; the error says how to make a workspace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "matrixswarm-boot --init" in refusal(capsys, "install")


def test_not_a_workspace(workspace, tmp_path, monkeypatch, capsys):
    """The error names what is missing, also when a pointer names the folder."""
    assert "has no .matrix, agent" in refusal(capsys, "install", str(tmp_path))
    assert "is not a folder" in refusal(capsys, "install", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm").write_text(str(tmp_path / "gone"))
    assert "gone is not a folder" in refusal(capsys, "install")
    (workspace.path / "certs/https_certs").rmdir()
    assert refusal(capsys, "install", str(workspace.path)).rstrip().endswith("it has no certs/https_certs")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"install_path": 1}', '{"install_path": "a\\u0000b"}', "[" * 90_000]
)
def test_a_damaged_map_of_the_workspace(workspace, capsys, content):
    """A workspace with a damaged map is refused: the framework could not boot from it."""
    (workspace.path / ".matrix").write_text(content)
    if 'install_path": "' in content:
        assert "is not a path" in refusal(capsys, "install", str(workspace.path))
        return
    assert ", which the framework needs for a boot, " in refusal(capsys, "install", str(workspace.path))


def test_a_moved_workspace(workspace, capsys):
    """Nothing is installed, as a swarm would take its agents from the old folder."""
    moved = workspace.path.rename(workspace.path.with_name("moved"))
    assert "was moved" in refusal(capsys, "install", str(moved))


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"unknown": 1}', "[" * 90_000, '{"files": [1]}', '{"originals": [5]}'),
        *('{"folders": null}', '{"files": {"../outside": "x"}}', '{"folders": ["/tmp"]}'),
    ],
)
def test_a_damaged_manifest(workspace, capsys, content):
    """Nothing is changed, as it is not known which files are installed ones."""
    install(workspace)
    (workspace.path / ".network_health/manifest.json").write_text(content)
    before = snapshot(workspace.path)
    for arguments in (["install"], ["install", "--uninstall"]):
        assert "manifest.json is damaged" in refusal(capsys, *arguments, str(workspace.path))
    assert snapshot(workspace.path) == before


def test_nothing_outside_of_the_workspace_is_removed(workspace, capsys):
    """A manifest that names an outside file is refused, even with the right hash."""
    install(workspace)
    outside = workspace.path.parent / "precious"
    outside.write_bytes(b"")
    manifest = workspace.path / ".network_health/manifest.json"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    manifest.write_text(json.dumps({"files": {"../precious": empty}}))
    assert "manifest.json is damaged" in refusal(capsys, "install", "--uninstall", str(workspace.path))
    assert outside.exists()


def loop(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return str(folder / "loop")


@pytest.mark.parametrize(
    "name",
    [loop, lambda _: "~nosuchuser/x", lambda _: "/" + "x" * 300, lambda _: "/proc/1/root/x/" + "y" * 300],
    ids=["loop", "unknown user", "long", "long below another"],
)
def test_an_invalid_path(tmp_path, monkeypatch, capsys, name):
    """An invalid path is refused in one sentence, as an argument and in a pointer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    refusal(capsys, "install", name(tmp_path))
    (tmp_path / ".swarm").write_text(name(tmp_path / "made") if name is not loop else str(tmp_path / "loop"))
    assert ".swarm" in refusal(capsys, "install")


@pytest.mark.parametrize("content", [b"", b" \n", b"a\0b", b"\xff\xfe"])
def test_a_pointer_that_names_nothing(tmp_path, monkeypatch, capsys, content):
    """The error names the pointer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm").write_bytes(content)
    assert ".swarm" in refusal(capsys, "install")


def test_a_current_folder_that_was_removed(tmp_path, monkeypatch, capsys):
    """The command says that it cannot be read."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the current folder cannot be read" in refusal(capsys, "install")


def test_a_lost_manifest_loses_no_backup(workspace):
    """Without the manifest nothing is removed, and the backups stay."""
    install(workspace)
    (workspace.path / ".network_health/manifest.json").unlink()
    before = snapshot(workspace.path)
    assert not uninstall(workspace)
    assert snapshot(workspace.path) == before


def test_a_terminal_without_a_character(initialised, tmp_path):
    """A character that the terminal cannot show is escaped."""
    path = copy_of(initialised, tmp_path / "wörk").path
    script = f"from network_health.cli.main import main; main(['install', {str(path)!r}])"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert rb"w\xf6rk" in done.stdout


def test_nothing_to_uninstall(workspace, capsys):
    """A workspace without an installation is not changed."""
    before = snapshot(workspace.path)
    assert main(["install", "--uninstall", str(workspace.path)]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert snapshot(workspace.path) == before


@pytest.mark.parametrize("readable", [True, False])
def test_no_permission(workspace, readable):
    """A workspace that may not be written, or not be read, is refused in one sentence and not changed."""
    for parent in workspace.path.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:  # pytest's own folders are closed to others
            parent.chmod(0o755)
    workspace.path.chmod(0o555 if readable else 0o000)
    before = snapshot(workspace.path)

    def attempt():
        try:
            install(Workspace.at(workspace.path))
        except SwarmError as error:
            return error

    try:
        sentence = as_nobody(attempt)
    finally:
        workspace.path.chmod(0o755)
    assert "run this as root or as" in sentence
    assert ("written" if readable else "read") in sentence
    assert snapshot(workspace.path) == before


def test_the_pointer_is_found_as_the_framework_finds_it(workspace, tmp_path, monkeypatch):
    """The nearest pointer upwards is used, else the one in the home folder."""
    home, deep = tmp_path / "home", tmp_path / "a" / "b" / "c"
    home.mkdir()
    deep.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(deep)
    assert pointed_at(deep) is find_swarm_pointer() is None
    pointers = [home / ".matrixswarm_pointer", tmp_path / ".swarm", deep.parent / ".swarm", deep / ".swarm"]
    for number, pointer in enumerate(pointers):
        pointer.write_text(f"{tmp_path}/{number}\n")
        assert find_swarm_pointer() == pointer
        assert pointed_at(deep) == tmp_path / str(number)
    (deep / ".swarm").write_text(str(workspace.path))
    assert Workspace.default() == workspace


def test_a_wheel_carries_the_payload_beside_the_code(tmp_path, monkeypatch):
    """A package installed from a wheel has no checkout around it."""
    here = tmp_path / "site-packages" / "network_health" / "swarm"
    monkeypatch.setattr("network_health.swarm.payload._HERE", here)
    with pytest.raises(SwarmError, match="install matrixswarm-network-health again"):
        payload_files()
    (here / "payload/agent/network_health").mkdir(parents=True)
    (here / "payload/directives").mkdir()
    (here / "payload/agent/network_health/network_health.py").write_bytes(b"# agent\n")
    assert payload_files() == {AGENT: b"# agent\n"}


@pytest.mark.root
@pytest.mark.swarm
def test_the_printed_commands_show_a_first_alert(workspace, tmp_path, monkeypatch, capsys):
    """Run by a shell unchanged, they boot a swarm, make it warn and recover, and end it."""
    universe = f"nh-install-{os.getpid()}"
    monkeypatch.setattr(command, "_UNIVERSE", universe)  # another demo on this host must not be ended
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["install", str(workspace.path)]) == 0
    _, comment, commands = capsys.readouterr().out.partition("# Boot")
    boot, _, end = (comment + commands).partition("# Stop it:")
    kill, _, remove = end.strip().partition("\n")
    claim = matrix_root.claim(universe)
    try:
        output = shell("set -eu\n" + boot)
        log = claim.folder / "latest" / "comm" / "forensic-1" / "logs" / "agent.log"
        assert "Received 'WARNING' report" in log.read_text()
    finally:
        shell(kill)
        left = subprocess.run(["pgrep", "-f", f"job {universe}:"], capture_output=True, text=True).stdout
        matrix_root.release(claim)  # as the last command, but keeps what belongs to other universes
    assert re.search(
        r"WARNING: High connection count: 6\d{3} > 5000.*Recovered: connection count", output, re.DOTALL
    )
    assert left == ""
    encrypted = workspace.path / "boot_directives" / "network_health_demo.json"
    assert remove == f"rm -r {claim.folder} {encrypted}"


def test_the_printed_commands_use_this_workspace(workspace, tmp_path, monkeypatch):
    """If a boot would use another workspace, they switch to this one first; paths are quoted."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    elsewhere = boot_commands(workspace).splitlines()
    (tmp_path / ".swarm").write_text(str(workspace.path))
    beside = boot_commands(workspace).splitlines()
    assert elsewhere[2:4] == [f"cd {workspace.path}", f"{launcher('matrixswarm-boot')} --switch ."]
    assert elsewhere[4:] == beside[2:]
    monkeypatch.setenv("PATH", str(launcher("matrixswarm-boot").parent), prepend=os.pathsep)
    assert "key=$(matrixswarm-encrypt-directive --in " in boot_commands(workspace)
    spaced = boot_commands(Workspace(tmp_path / "a b"))
    assert f"--in '{tmp_path}/a b/boot_directives/network_health_demo.py'" in spaced


def shell(commands):
    """Run the printed commands as a user's shell would; returns their output."""
    return subprocess.run(
        ["sh", "-c", commands], check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_the_manifest_is_readable(workspace):
    """An operator can see which files were installed."""
    install(workspace)
    manifest = json.loads((workspace.path / ".network_health/manifest.json").read_text())
    assert sorted(manifest["files"]) == sorted(payload_files())
    assert manifest["originals"] == ["agent/network_health"]
