"""The commands ``install`` and ``doctor`` in the folder of MatrixOS, on a small tree."""

import base64
import json

import pytest
from Crypto.Cipher import AES
from Crypto.Random import get_random_bytes

from network_health.swarm import Workspace, install, uninstall, workspace
from network_health.swarm.doctor import checks, examine
from tests.cli.command import run
from tests.matrixos import small_tree
from tests.rights import as_nobody

AGENT = "agents/python_core/network_health"
DEMO = "boot_directives/network_health_demo.json"
#: What the doctor finds out about the directive and the workspace, not about this host.
SUBJECTS = {
    "library",
    "workspace",
    "agent",
    "source",
    "directive",
    "boot",
    "config",
    "settings",
    "reports",
    "handler",
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A small tree, in the place of ``/matrix``."""
    root = small_tree.make(tmp_path / "site")
    for module in (workspace, checks):
        monkeypatch.setattr(module, "MATRIX", root)
    return root


def findings(root, directive, key=""):
    """What the doctor finds there, by subject: the state, what it says and what to do."""
    found = [each for each in examine(root, directive, key) if each.subject in SUBJECTS]
    return [(each.subject, each.state, each.says, each.do) for each in found]


def directive(root, role, handler="cmd_ingest_status_report"):
    """A directive whose detective has this role; returns its name."""
    detective = {"universal_id": "forensic-1", "name": "forensic_detective"}
    detective["config"] = {"service-manager": [{"role": [role]}]}
    agent = {"universal_id": "net-1", "name": "network_health", "config": {"report_handler": handler}}
    tree = {"universal_id": "matrix", "name": "matrix", "children": [detective, agent]}
    (root / "boot_directives" / "mine.json").write_text(json.dumps(tree))
    return "mine"


def seal(path, content, key):
    """Write an encrypted directive as Phoenix does."""
    cipher = AES.new(key, AES.MODE_GCM)
    sealed, tag = cipher.encrypt_and_digest(content)
    parts = {"nonce": cipher.nonce, "tag": tag, "ciphertext": sealed}
    path.write_text(json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()}))


def test_what_is_installed_can_be_removed(root):
    """The whole folder of the framework's agent is kept, and comes back; so does everything else."""
    before = small_tree.content_of(root)
    outcome = install(Workspace.at(root))
    assert outcome.originals == (AGENT,)
    after = small_tree.content_of(root)
    assert f"{AGENT}/__init__.py" not in after
    assert b"BootAgent" in after[f"{AGENT}/network_health.py"]
    assert (
        "agents/python_core/forensic_detective/factory/watchdog/system/network/investigator/__init__.py"
        in after
    )
    assert uninstall(Workspace.at(root)).left == ()
    assert small_tree.content_of(root) == before


def test_directives_are_json_and_their_roles_have_handlers(root):
    """As ``matrixd boot --directive`` reads them, and as MatrixOS looks for roles."""
    install(Workspace.at(root))
    tree = json.loads((root / DEMO).read_text())
    assert tree["children"][0]["config"]["service-manager"] == [
        {"role": ["hive.forensics.data_feed@cmd_ingest_status_report"]}
    ]
    assert (
        sorted(path.suffix for path in (root / "boot_directives").glob("network_health_*")) == [".json"] * 3
    )


def test_the_command_prints_how_to_boot(root):
    """With ``matrixd``, by the Python that has the library; the logs are where MatrixOS keeps them."""
    printed = run("install", root).stdout
    assert f"{root}/scripts/matrixd boot --universe network-health-demo --directive {root / DEMO} " in printed
    assert f"{root}/universes/static/network-health-demo/latest/comm/net-health-1/logs/agent.log" in printed
    assert "matrixswarm" not in printed
    assert run("install", root, "--uninstall").returncode == 0


def test_the_folder_of_matrixos_is_the_default_workspace(root, tmp_path, monkeypatch):
    """Where no pointer names another one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Workspace.default() == Workspace(root)
    (root / "scripts" / "matrixd").unlink()
    with pytest.raises(workspace.SwarmError, match="is not a MatrixOS workspace: it has no scripts/matrixd"):
        Workspace.default()


def test_a_matrix_that_this_user_cannot_read(root, tmp_path, monkeypatch):
    """Mode 0700, as the documentation advises: one finding says so, and the host is checked all the same."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    for folder in tmp_path.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o055)
    list(examine(None, None))  # imports all that it needs: nobody may not be allowed to read Python's files
    root.chmod(0)
    said = as_nobody(lambda: [(each.subject, each.says) for each in examine(None, None)])
    assert (
        "no .swarm file here or above and no ~/.matrixswarm_pointer names a workspace, and "
        f"{root} cannot be read by this user; name a workspace, or run this as root or as the swarm's user"
    ) in said
    assert "('/matrix', " in said


@pytest.mark.parametrize(
    ("name", "says", "do"),
    [
        ("mine.py", "mine.py: it reads JSON only", "write it as a .json file"),
        (
            "plain.enc.json",
            "plain.enc.json: it is not encrypted, but its name ends in .enc.json",
            "plain.json",
        ),
        (
            "sealed.json",
            "sealed.json: it is encrypted, and its name does not end in .enc.json",
            "sealed.enc.json",
        ),
    ],
)
def test_what_matrixd_cannot_boot(root, name, says, do):
    """It decrypts by the name alone."""
    install(Workspace.at(root))
    key, path = get_random_bytes(32), root / "boot_directives" / name
    content = (root / DEMO).read_bytes()
    if name.startswith("sealed"):
        seal(path, content, key)
    else:
        path.write_bytes(b"matrix_directive = " + content if name.endswith(".py") else content)
    found = findings(root, name, base64.b64encode(key).decode())
    (boot,) = [finding for finding in found if finding[0] == "boot"]
    assert boot[1:3] == ("fault", f"matrixd cannot boot {says}")
    assert boot[3].endswith(do)


def test_the_doctor_finds_no_fault(root):
    """In a tree with the agent installed; it changes nothing, not even by its imports."""
    install(Workspace.at(root))
    before = small_tree.content_of(root)
    found = findings(root, "network_health_demo")
    assert [finding for finding in found if finding[1] != "ok"] == []
    assert ("workspace", "ok", f"{root}, of MatrixOS", "") in found
    (boot,) = [finding for finding in found if finding[0] == "boot"]
    assert f"matrixd boot --universe NAME --directive {root / DEMO}" in boot[3]
    assert small_tree.content_of(root) == before


def test_a_copy_elsewhere(root, tmp_path):
    """``matrixd`` imports what is in ``/matrix``, wherever it is started from."""
    copy = small_tree.make(tmp_path / "copy")
    (said,) = [finding for finding in findings(copy, None) if finding[0] == "workspace"]
    assert said[1:3] == ("note", f"{copy} is a copy of MatrixOS, which boots only in {root}")


def test_the_doctor_finds_what_is_wrong_before_the_agent_is_installed(root):
    """The framework's agent, which would hide the library."""
    (fault,) = [finding for finding in findings(root, directive(root, "a@b")) if finding[0] == "agent"]
    assert fault[1] == "fault"
    assert f"{AGENT}/__init__.py hides the library from the agent" in fault[2]


def test_an_encrypted_directive(root):
    """As Phoenix writes it and ``matrixd`` reads it; without the key it is no directive."""
    install(Workspace.at(root))
    key = get_random_bytes(32)
    seal(root / "boot_directives" / "u.enc.json", (root / DEMO).read_bytes(), key)
    found = findings(root, "u.enc.json", base64.b64encode(key).decode())
    assert [finding for finding in found if finding[1] != "ok"] == []
    (boot,) = [do for subject, _, _, do in found if subject == "boot"]
    assert boot.endswith("u.enc.json --swarm_key KEY")
    assert "directive" in [subject for subject, state, *_ in findings(root, "u.enc.json") if state == "fault"]


@pytest.mark.parametrize("written", ["{}", " {} ", "{}@"])
def test_a_role_without_a_handler(root, written):
    """MatrixOS ignores it: the detective gets the reports all the same, but not at once."""
    install(Workspace.at(root))
    role = "hive.forensics.data_feed"
    name = directive(root, written.format(role))
    found = [finding for finding in findings(root, name) if finding[0] == "reports"]
    assert [(state, says.partition(":")[0]) for _, state, says, _ in found] == [
        ("note", f"forensic-1 has the role {role!r} without a handler"),
        ("note", f"no node has the role {role!r}"),
    ]
    assert found[0][3] == f'write "{role}@cmd_ingest_status_report"'


@pytest.mark.parametrize(
    ("handler", "state"),
    [("cmd_ingest_status_report", "ok"), ("cmd_inherited", "ok"), ("cmd_none", "fault"), ("ingest", "fault")],
)
def test_the_handler_of_the_role(root, handler, state):
    """It counts, not the one of the settings; its name has to begin with ``cmd_``."""
    install(Workspace.at(root))
    found = findings(root, directive(root, f"hive.forensics.data_feed@{handler}", "cmd_never"))
    (finding,) = [finding for finding in found if finding[0] == "handler"]
    assert finding[1] == state
    if state == "fault":
        assert finding[3].startswith(
            "set the handler of its role to one that it has (cmd_ingest_status_report)"
        )
