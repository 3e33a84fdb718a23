"""``network-health fleet``: where the files for many hosts are."""

from network_health.swarm import FLEET_FILES
from tests.cli.command import run
from tests.tree import ROOT


def test_every_file_is_there():
    """One line for each, with its name and a path that exists; every file of docs/fleet is among them."""
    done = run("fleet")
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert listed == {name: str(ROOT / path) for name, path in FLEET_FILES.items()}
    assert {ROOT / path for path in FLEET_FILES.values()} == {
        *(ROOT / "docs" / "fleet").iterdir(),
        ROOT / "directives" / "network_health_recommended.py",
    }


def test_one_path_alone():
    """For other commands; a name that does not exist is an error that names all."""
    done = run("fleet", "rules")
    assert done.stdout == f"{ROOT / 'docs' / 'fleet' / 'rules.yml'}\n"
    done = run("fleet", "nothing")
    assert done.returncode == 2
    assert all(name in done.stderr for name in FLEET_FILES)
