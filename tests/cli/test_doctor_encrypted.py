"""``network-health doctor`` and ``install`` with directives that the framework's tool has encrypted."""

import os
import re
import shutil
import subprocess

import pytest

from network_health.swarm.booting import launcher
from network_health.swarm.directive import read_directive
from network_health.swarm.errors import SwarmError
from tests.cli.command import run, run_here
from tests.cli.test_doctor import AGENT, DETECTIVE, agent, faults, found

TOOL = launcher("matrixswarm-encrypt-directive")


@pytest.fixture
def directive(workspace):
    """A directive of the workspace with a receiver and a node of this agent."""
    return directive_in(workspace)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """An encrypted directive that no test changes, as its path and its key."""
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "boot_directives").mkdir()
    directive = directive_in(workspace)
    return directive.with_suffix(".json"), encrypted(directive)


def directive_in(workspace):
    """Write the directive of these tests."""
    path = workspace / "boot_directives" / "mine.py"
    root = f'{{"universal_id": "matrix", "name": "matrix", "children": [{DETECTIVE}, {agent()}]}}'
    path.write_text(f"matrix_directive = {root}\n")
    return path


def encrypted(directive, *options):
    """Encrypt the directive as an operator does; returns its key."""
    workspace = directive.parent.parent
    command = [TOOL, "--in", directive, "--out", directive.with_suffix(".json"), *options]
    environment = os.environ | {"MATRIXSWARM_PATH": str(workspace)}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def sources(done):
    """The findings about the source of the node ``n``."""
    about = [(state, says) for state, subject, says, _ in found(done) if subject == "source"]
    return [(state, says) for state, says in about if says.startswith("n ")]


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        (
            ["--clown-car"],
            ("fault", "n runs the stock version of network_health, from the directive"),
            ("ok", "n runs this version of network_health, from the directive"),
        ),
        (
            ["--hash-bang"],
            (
                "fault",
                "n will not start: the workspace has this version, "
                "but the hash_bang is that of the stock version",
            ),
            ("ok", "n runs this version of network_health, from the workspace"),
        ),
        (
            ["--clown-car", "--hash-bang"],
            ("fault", "n runs the stock version of network_health, from the directive"),
            ("ok", "n runs this version of network_health, from the directive"),
        ),
        (
            [],
            ("ok", "n runs the agent in the workspace: mine.json has no source"),
            ("ok", "n runs the agent in the workspace: mine.json has no source"),
        ),
    ],
    ids=["clown car", "hash bang", "both", "neither"],
)
def test_which_agent_an_encrypted_directive_runs(workspace, directive, options, before, after):
    """Encrypted before the installation it runs the stock agent or none, encrypted after it this version."""
    run_here("install", workspace, "--uninstall")
    key = encrypted(directive, *options)
    printed = run_here("install", workspace).stdout
    assert f"--in {directive} --out {directive.with_suffix('.json')} --clown-car --hash-bang" in printed
    done = run_here("doctor", workspace, "--directive", "mine.json", "--key", key)
    assert sources(done) == [before]
    assert done.returncode == (before[0] == "fault")
    key = encrypted(directive, *options)
    done = run_here("doctor", workspace, "--directive", "mine.json", SWARM_KEY=key)
    assert sources(done) == [after]
    assert faults(done) == []


@pytest.mark.parametrize("folder", ["/", "another"])
def test_the_advice_is_right(workspace, directive, tmp_path, folder):
    """The command that the doctor prints encrypts with the workspace's agents, wherever it is run."""
    run_here("install", workspace, "--uninstall")
    key = encrypted(directive, "--clown-car")
    run_here("install", workspace)
    ((_, _, advice),) = faults(run_here("doctor", workspace, "--directive", "mine.json", "--key", key))
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / ".swarm").write_text(str(tmp_path))
    done = subprocess.run(
        ["sh", "-c", advice.removeprefix("encrypt it again: ")],
        cwd=tmp_path / folder,
        env=os.environ | {"PATH": f"{TOOL.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        faults(run_here("doctor", workspace, "--directive", "mine.json", SWARM_KEY=done.stdout.strip())) == []
    )


def test_an_upgrade_changes_the_agent(workspace, directive):
    """An encrypted directive with the agent of another version is a fault; install says what to do."""
    text = (workspace / AGENT).read_text()
    (workspace / AGENT).write_text(text + "# another version\n")
    key = encrypted(directive, "--clown-car", "--hash-bang")
    assert "Encrypt it again" in run_here("install", workspace).stdout
    assert "Encrypt it again" not in run_here("install", workspace).stdout
    done = run("doctor", workspace, "--directive", "mine.json", "--key", key)
    assert sources(done) == [("fault", "n runs another version of network_health, from the directive")]


def test_a_receiver_whose_hash_is_another(workspace, directive):
    """A node of any agent that will not start is a fault."""
    key = encrypted(directive, "--hash-bang")
    with (workspace / "agent/forensic_detective/forensic_detective.py").open("a") as file:
        file.write("# changed\n")
    wrong = faults(run_here("doctor", workspace, "--directive", "mine.json", "--key", key))
    assert [(subject, says.partition(":")[0]) for subject, says, _ in wrong] == [
        ("source", "d will not start")
    ]


def test_the_handler_of_an_embedded_agent(workspace, directive):
    """The handlers are those of the source in the directive, not of the file in the workspace."""
    key = encrypted(directive, "--clown-car")
    shutil.rmtree(workspace / "agent/forensic_detective/")
    done = run_here("doctor", workspace, "--directive", "mine.json", "--key", key)
    assert ("handler", "ok") in [(subject, state) for state, subject, *_ in found(done)]


def test_without_the_key(workspace, directive):
    """Without the key, or with a wrong one, the directive is one fault that asks for the right one."""
    encrypted(directive)
    for words, says in (([], "is encrypted"), (["--key", "x"], "cannot be decrypted with this key")):
        ((subject, said, do),) = faults(run_here("doctor", workspace, "--directive", "mine.json", *words))
        assert (subject, says in said) == ("directive", True)
        assert do == "add --key with the key that it was encrypted with"


@pytest.mark.parametrize("key", ["x", "AAAA", "A" * 43 + "=", "\u00e4", "\udcff"])
def test_a_wrong_key(sealed, key):
    """Whatever the key is, it is an error that names the file."""
    path, _ = sealed
    with pytest.raises(SwarmError, match=f"{path} cannot be decrypted with this key"):
        read_directive(path, key)


@pytest.mark.parametrize("value", ['"!"', "5", "null", '""', "[]"])
@pytest.mark.parametrize("part", ["nonce", "tag", "ciphertext"])
def test_a_damaged_file(sealed, tmp_path, part, value):
    """A part that is missing, not Base64 or of another kind is an error that names the file."""
    whole, key = sealed
    path = tmp_path / whole.name
    text, changes = re.subn(rf'"{part}": "[^"]*"', f'"{part}": {value}', whole.read_text())
    assert changes == 1
    path.write_text(text)
    with pytest.raises(SwarmError, match=f"{path} cannot be decrypted with this key"):
        read_directive(path, key)


def test_an_encrypted_directive_beside_the_checked_one(workspace, directive):
    """It is noted as not checked, with the command that checks it."""
    encrypted(directive)
    for words in ([], ["--directive", "mine"]):
        notes = [
            finding for finding in found(run_here("doctor", workspace, *words)) if finding[1] == "source"
        ]
        assert [(state, says.partition(".json")[0], do) for state, _, says, do in notes] == [
            (
                "note",
                "encrypted, so not checked: mine",
                f"SWARM_KEY=KEY network-health doctor {workspace} --directive mine.json",
            )
        ]
