"""What is in the wheel and in the sdist, and that nothing else is."""

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser

import pytest
from markdown_it import MarkdownIt

from tests.packaging.conftest import ROOT, Environment
from tests.packaging.pythons import VERSIONS

pytestmark = pytest.mark.packaging

DISTRIBUTION = "matrixswarm_network_health"
#: Folders and files of the checkout that the sdist has.
IN_SDIST = {".ci", "agent", "bench", "directives", "docs", "network_health", "tests"}
IN_SDIST |= {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
}


@pytest.fixture(scope="module")
def wheel(built):
    """The wheel that was made from the tree."""
    with zipfile.ZipFile(built.wheel) as opened:
        yield opened


def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return HeaderParser().parsestr(wheel.read(name).decode())


def checksums(path):
    """What a wheel holds: CRC-32 by name."""
    with zipfile.ZipFile(path) as opened:
        return {info.filename: info.CRC for info in opened.infolist()}


def test_the_wheel_has_the_library_and_the_payload_and_nothing_else(built, wheel):
    """Every tracked file of library, agent, directives and docs/fleet, below its one name."""
    version = metadata(wheel)["Version"]
    info = f"{DISTRIBUTION}-{version}.dist-info"
    expected = {
        f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    for name in built.files:
        if name.startswith("network_health/"):
            expected.add(name)
        elif name.startswith(("agent/", "directives/", "docs/fleet/")):
            expected.add(f"network_health/swarm/payload/{name}")
    assert set(wheel.namelist()) == expected
    assert {name.partition("/")[0] for name in wheel.namelist()} == {"network_health", info}
    assert "network_health/py.typed" in expected


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_tree(built):
    """Whoever builds from the sdist gets the same, byte for byte."""
    assert checksums(built.wheel_of_sdist) == checksums(built.wheel)


def test_the_sdist_has_what_a_build_and_the_tests_need(built):
    """Tracked files alone, of the parts that are meant, and the metadata."""
    with tarfile.open(built.sdist) as opened:
        names = {member.name.partition("/")[2] for member in opened.getmembers() if member.isfile()}
    assert names == {name for name in built.files if name.partition("/")[0] in IN_SDIST} | {"PKG-INFO"}


def test_the_metadata_say_what_it_is(wheel):
    """Name, licence, Python, extras, and the command."""
    said = metadata(wheel)
    assert said["Name"] == "matrixswarm-network-health"
    assert said["License-Expression"] == "MIT"
    assert said.get_all("License-File") == ["LICENSE"]
    assert said["Requires-Python"] == f">={VERSIONS[0]}"
    assert {"cli", "page"} <= set(said.get_all("Provides-Extra"))
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split() == [
        *("[console_scripts]", "network-health", "=", "network_health.cli.entry:run")
    ]


def test_the_readme_is_the_page_of_the_package(wheel):
    """Whole, as Markdown that renders: its tables are tables."""
    said = metadata(wheel)
    assert said["Description-Content-Type"] == "text/markdown"
    readme = (ROOT / "README.md").read_text()
    assert said.get_payload().strip() == readme.strip()
    page = MarkdownIt("gfm-like", {"linkify": False}).render(readme)
    assert page.count("<table>") == readme.count("\n|---")
    assert "|---" not in page


def test_an_sdist_can_be_installed(built, tmp_path):
    """The command comes of it, and the agent's files with it."""
    installed = Environment(tmp_path, "{}.{}".format(*sys.version_info), built.sdist)
    assert "network-health COMMAND" in installed.run("network-health", "--help")
    said = installed.run(
        "python", "-c", "from network_health.swarm.payload import payload_files as f; print(*f())"
    )
    assert "agent/network_health/network_health.py" in said.split()


SCRIPT = """
from network_health import Monitor, Settings
report = Monitor(Settings.from_mapping({"conn_threshold": 2000})).check()
reveal_type(report.details)
"""


def test_the_types_are_seen_by_mypy(environment, tmp_path):
    """A user's script is checked against the installed library, strictly, its mistakes found."""
    script = tmp_path / "script.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", tmp_path / "cache"]
    command += ["--python-executable", environment.python, script]

    def mypy(text):
        script.write_text(text)
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = mypy(SCRIPT)
    assert good.returncode == 0, good.stdout + good.stderr
    assert re.search(r'Revealed type is "(builtins\.)?str"', good.stdout)
    assert mypy(SCRIPT + "report.details + 1\nMonitor(settings=7)\n").stdout.count(": error:") == 2
