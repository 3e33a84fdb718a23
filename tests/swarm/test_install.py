"""Into a workspace and out again, on workspaces that the framework's own ``--init`` made."""

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
    """A workspace as the framework makes it."""
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
    """A workspace of the test's own."""
    return a_copy(initialised, tmp_path / "workspace")


def a_copy(initialised, path):
    """That workspace at another place, as if it had been made there."""
    shutil.copytree(initialised, path, symlinks=True)
    places = json.loads((path / ".matrix").read_text())
    moved = {name: place.replace(str(initialised), str(path)) for name, place in places.items()}
    (path / ".matrix").write_text(json.dumps(moved))
    return Workspace.at(path)


def picture(folder):
    """Everything in a folder: kind, mode, owner and, of files, content and time."""
    seen = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        detail = (stat.filemode(info.st_mode), info.st_uid, info.st_gid)
        if path.is_symlink():
            detail += (os.readlink(path),)
        elif path.is_file():
            detail += (path.read_bytes(), info.st_mtime_ns)
        seen[str(path.relative_to(folder))] = detail
    return seen


def furnish(path):
    """What a user may have in a workspace where our files go."""
    (path / "agent/network_health/factory").mkdir()
    (path / "agent/network_health/factory/own.py").write_text("# my own\n")
    (path / "agent/network_health/network_health.py").chmod(0o600)
    (path / DEMO).write_text("# my own demo\n")
    (path / "elsewhere.py").write_text("# linked\n")
    (path / "boot_directives/network_health_reference.py").symlink_to("../elsewhere.py")


@pytest.mark.parametrize("furnished", [False, True], ids=["stock", "furnished"])
def test_uninstall_restores_everything(workspace, furnished):
    """Contents, modes, times, links and folders are what they were."""
    if furnished:
        furnish(workspace.path)
    before = picture(workspace.path)
    install(workspace)
    assert picture(workspace.path) != before
    uninstall(workspace)
    assert picture(workspace.path) == before


def test_what_is_installed(workspace):
    """Every file of the payload is there as it is in the project, and the stock agent is kept."""
    stock = picture(workspace.path / "agent/network_health")
    outcome = install(workspace)
    assert sorted(outcome.written) == sorted(payload_files())
    assert outcome.originals == ("agent/network_health",)
    for name, content in payload_files().items():
        path = workspace.path / name
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert picture(workspace.path / ".network_health/original/agent/network_health") == stock


def test_the_payload_is_the_whole_of_it():
    """The agent, the directives and whatever else lies beside them; no leavings of a Python run."""
    expected = {
        f"{place}/{path.relative_to(ROOT / part).as_posix()}"
        for part, place in (("agent", "agent"), ("directives", "boot_directives"))
        for path in (ROOT / part).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert set(payload_files()) == expected
    assert {AGENT, DEMO, "boot_directives/network_health_reference.py"} <= expected


def test_the_library_is_not_shadowed(workspace):
    """The agent's folder is no package, not even if one is put back: it has the library's name."""
    install(workspace)
    shadow = workspace.path / "agent/network_health/__init__.py"
    assert not shadow.exists()
    shadow.write_text("")
    assert [Path(kept).name for kept in install(workspace).kept] == ["__init__.py"]
    assert not shadow.exists()


def test_a_second_run_changes_nothing(workspace, capsys):
    """Not a byte, not a time; and it says so."""
    assert main(["install", str(workspace.path)]) == 0
    before = picture(workspace.path)
    capsys.readouterr()
    assert main(["install", str(workspace.path)]) == 0
    assert picture(workspace.path) == before
    assert "up to date: nothing was changed" in capsys.readouterr().out


def test_what_a_user_changed_is_kept(workspace, capsys):
    """Ours takes its place again, theirs is kept and named; by install and by uninstall."""
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


def test_what_a_user_added_survives(workspace):
    """A file beside ours is nobody's to delete."""
    install(workspace)
    (workspace.path / "agent/network_health/notes.txt").write_text("mine\n")
    install(workspace)
    (name,) = uninstall(workspace).kept
    assert (workspace.path / name / "notes.txt").read_text() == "mine\n"
    assert (workspace.path / "agent/network_health/__init__.py").exists()


def test_a_deleted_backup_is_not_replaced_by_ours(workspace):
    """What was installed must never be taken for what stood there before."""
    install(workspace)
    shutil.rmtree(workspace.path / ".network_health/original")
    install(workspace)
    uninstall(workspace)
    assert not (workspace.path / "agent/network_health").exists()


def test_a_file_like_ours_that_was_there_before_comes_back(workspace):
    """A copy that someone made by hand is theirs."""
    (workspace.path / DEMO).write_bytes(payload_files()[DEMO])
    before = picture(workspace.path)
    install(workspace)
    uninstall(workspace)
    assert picture(workspace.path) == before


def test_a_newer_version_takes_over(workspace, monkeypatch):
    """What changed is replaced, what is new is added, what was dropped is removed; nothing is a user's."""
    (workspace.path / DEMO).write_text("# mine\n")
    before = picture(workspace.path)
    install(workspace)
    deep = "agent/forensic_detective/factory/deep/er/__init__.py"
    newer = {AGENT: b"# newer\n", deep: b"", "boot_directives/another.py": b"# new\n"}
    monkeypatch.setattr(installation, "payload_files", lambda: newer)
    outcome = install(workspace)
    assert sorted(outcome.written) == sorted(newer)
    assert DEMO in outcome.removed
    assert outcome.kept == ()
    assert (workspace.path / DEMO).read_text() == "# mine\n"
    assert (workspace.path / AGENT).read_bytes() == b"# newer\n"
    uninstall(workspace)
    assert picture(workspace.path) == before


def without_times(seen):
    """A picture that a file written twice does not change."""
    return {name: detail[:4] for name, detail in seen.items()}


def fail_at(patch, step):
    """Let the disk be full at the given one of the steps that change a workspace, counted from 0."""
    steps = iter(range(100))

    def failing(real):
        def call(*arguments, **options):
            if next(steps) == step:
                raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        return call

    patch.setattr(Path, "replace", failing(Path.replace))
    patch.setattr(Path, "unlink", failing(Path.unlink))
    patch.setattr(Path, "rmdir", failing(Path.rmdir))
    patch.setattr(shutil, "move", failing(shutil.move))


# With what `furnish` adds an installation has 7 such steps at least, and its removal 10.
@pytest.mark.parametrize(
    ("action", "step"), [(install, n) for n in range(7)] + [(uninstall, n) for n in range(10)]
)
def test_a_run_cut_short_is_completed_by_the_next(workspace, monkeypatch, action, step):
    """Wherever the disk fails, the next run brings the workspace to where it should be."""
    furnish(workspace.path)
    before = picture(workspace.path)
    install(workspace)
    after = picture(workspace.path)
    if action is install:
        uninstall(workspace)
    with monkeypatch.context() as patch:
        fail_at(patch, step)
        with pytest.raises(SwarmError, match="No space left"):
            action(workspace)
    action(workspace)
    assert without_times(picture(workspace.path)) == without_times(after if action is install else before)
    uninstall(workspace)
    assert picture(workspace.path) == before


@pytest.mark.parametrize("step", range(7))
def test_an_installation_cut_short_can_be_undone(workspace, monkeypatch, step):
    """Whoever thinks better of it after a failure gets the workspace back as it was."""
    furnish(workspace.path)
    before = picture(workspace.path)
    with monkeypatch.context() as patch:
        fail_at(patch, step)
        with pytest.raises(SwarmError, match="No space left"):
            install(workspace)
    uninstall(workspace)
    assert picture(workspace.path) == before


@pytest.mark.root
def test_files_belong_to_the_workspaces_owner(workspace):
    """What root installs in a user's workspace is that user's, and readable whatever root's umask."""
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
    """The one sentence that a command which cannot do it says."""
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith("network-health: ")
    return output.err


def test_no_workspace(tmp_path, monkeypatch, capsys):
    """Without a pointer there is no default, and the way to one is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "matrixswarm-boot --init" in refusal(capsys, "install")


def test_not_a_workspace(workspace, tmp_path, monkeypatch, capsys):
    """What is missing is named: of a folder, of what a pointer names, of no folder at all."""
    assert "has no .matrix, agent" in refusal(capsys, "install", str(tmp_path))
    assert "is no folder" in refusal(capsys, "install", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm").write_text(str(tmp_path / "gone"))
    assert "gone is no folder" in refusal(capsys, "install")
    (workspace.path / "certs/https_certs").rmdir()
    assert refusal(capsys, "install", str(workspace.path)).rstrip().endswith("it has no certs/https_certs")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"install_path": 1}', '{"install_path": "a\\u0000b"}', "[" * 90_000]
)
def test_a_damaged_map_of_the_workspace(workspace, capsys, content):
    """The framework could not boot from it either."""
    (workspace.path / ".matrix").write_text(content)
    if 'install_path": "' in content:
        assert "names no folder" in refusal(capsys, "install", str(workspace.path))
        return
    assert ", which the framework needs for a boot, " in refusal(capsys, "install", str(workspace.path))


def test_a_moved_workspace(workspace, capsys):
    """A swarm would take its agents from the old place, so nothing is installed in the new one."""
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
    """What is ours cannot be told then, so nothing is touched."""
    install(workspace)
    (workspace.path / ".network_health/manifest.json").write_text(content)
    before = picture(workspace.path)
    for arguments in (["install"], ["install", "--uninstall"]):
        assert "manifest.json is damaged" in refusal(capsys, *arguments, str(workspace.path))
    assert picture(workspace.path) == before


def test_nothing_outside_of_the_workspace_is_taken_out(workspace, capsys):
    """Whatever a manifest that somebody else may have written names, and be the hash right."""
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
    ids=["loop", "nobody's home", "long", "long and far"],
)
def test_what_cannot_be_a_workspace(tmp_path, monkeypatch, capsys, name):
    """Named, or pointed at: one sentence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    refusal(capsys, "install", name(tmp_path))
    (tmp_path / ".swarm").write_text(name(tmp_path / "made") if name is not loop else str(tmp_path / "loop"))
    assert ".swarm" in refusal(capsys, "install")


@pytest.mark.parametrize("content", [b"", b" \n", b"a\0b", b"\xff\xfe"])
def test_a_pointer_that_names_nothing(tmp_path, monkeypatch, capsys, content):
    """The sentence names the pointer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm").write_bytes(content)
    assert ".swarm" in refusal(capsys, "install")


def test_a_folder_that_is_gone(tmp_path, monkeypatch, capsys):
    """The current one."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the current folder cannot be looked at" in refusal(capsys, "install")


def test_a_lost_manifest_loses_no_backup(workspace):
    """Without it nothing is taken out, and what once stood there stays where it was put."""
    install(workspace)
    (workspace.path / ".network_health/manifest.json").unlink()
    before = picture(workspace.path)
    assert not uninstall(workspace)
    assert picture(workspace.path) == before


def test_a_terminal_that_lacks_a_sign(initialised, tmp_path):
    """What cannot be shown is spelt out, and is no failure."""
    path = a_copy(initialised, tmp_path / "wörk").path
    script = f"from network_health.cli.main import main; main(['install', {str(path)!r}])"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert rb"w\xf6rk" in done.stdout


def test_nothing_to_uninstall(workspace, capsys):
    """A workspace without us stays as it is."""
    before = picture(workspace.path)
    assert main(["install", "--uninstall", str(workspace.path)]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert picture(workspace.path) == before


@pytest.mark.parametrize("readable", [True, False])
def test_no_permission(workspace, readable):
    """A workspace that one may not write, or not even read, is refused in one sentence; nothing changes."""
    for parent in list(workspace.path.parents)[:3]:  # pytest's own folders are closed to others
        parent.chmod(0o755)
    workspace.path.chmod(0o555 if readable else 0o000)
    before = picture(workspace.path)

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
    assert picture(workspace.path) == before


def test_the_pointer_is_found_as_the_framework_finds_it(workspace, tmp_path, monkeypatch):
    """The nearest one upwards wins, then the one at home; there is none without either."""
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
    """Installed from a wheel there is no repository around the package."""
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
    """Pasted into a shell as they are, they boot a swarm, make it warn and recover, and end it."""
    universe = f"nh-install-{os.getpid()}"
    monkeypatch.setattr(command, "_UNIVERSE", universe)  # a demo that somebody runs here is not ours to end
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["install", str(workspace.path)]) == 0
    _, comment, commands = capsys.readouterr().out.partition("# Boot")
    boot, _, end = (comment + commands).partition("# And end it:")
    kill, _, remove = end.strip().partition("\n")
    claim = matrix_root.claim(universe)
    try:
        told = shell("set -eu\n" + boot)
        log = claim.folder / "latest" / "comm" / "forensic-1" / "logs" / "agent.log"
        assert "Received 'WARNING' report" in log.read_text()
    finally:
        shell(kill)
        left = subprocess.run(["pgrep", "-f", f"job {universe}:"], capture_output=True, text=True).stdout
        matrix_root.release(
            claim
        )  # does what the last command does, and cares for what others may have there
    assert re.search(
        r"WARNING: High connection count: 6\d{3} > 5000.*Recovered: connection count", told, re.DOTALL
    )
    assert left == ""
    encrypted = workspace.path / "boot_directives" / "network_health_demo.json"
    assert remove == f"rm -r {claim.folder} {encrypted}"


def test_the_printed_commands_fit_the_place(workspace, tmp_path, monkeypatch):
    """Where a boot would use another workspace they point it at this one first; paths are quoted."""
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
    """Run what was printed, as a user's shell would; returns what it wrote."""
    return subprocess.run(
        ["sh", "-c", commands], check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_the_manifest_is_readable(workspace):
    """An operator can see which files are ours."""
    install(workspace)
    manifest = json.loads((workspace.path / ".network_health/manifest.json").read_text())
    assert sorted(manifest["files"]) == sorted(payload_files())
    assert manifest["originals"] == ["agent/network_health"]
