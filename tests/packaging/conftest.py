"""The distribution, built once from the tracked files alone, and an environment for each Python."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.isolated import outside
from tests.packaging import pythons
from tests.tree import ROOT

#: What a checkout has beside its files, where git does not say which these are.
_LEFTOVERS = (".git", ".venv", "build", "dist", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
_TESTED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config):
    config.stash[_TESTED] = {}


def pytest_terminal_summary(terminalreporter, config):
    """Say which Pythons the distribution was tried on, so that a missing one cannot be overlooked."""
    tested = config.stash[_TESTED]
    if tested:
        terminalreporter.section("the distribution, by Python")
        for version, what in sorted(tested.items()):
            terminalreporter.write_line(f"{version}: {what}")


def tracked_files():
    """What git keeps of this checkout; of an unpacked sdist everything that was not made later."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.rstrip("\0").split("\0")
        return sorted(name for name in names if (ROOT / name).is_file())
    ignored = shutil.ignore_patterns(*_LEFTOVERS)
    found = []
    for folder, folders, files in os.walk(ROOT):
        dropped = ignored(folder, folders + files)
        folders[:] = [name for name in folders if name not in dropped]
        found += [str(Path(folder, name).relative_to(ROOT)) for name in files if name not in dropped]
    return sorted(name for name in found if name != "PKG-INFO")


class Built:
    """``sdist``, ``wheel`` (made from the ``tree``) and ``wheel_of_sdist``; made of ``files``.

    The first worker of a test run that needs them builds them in ``folder``, for all.
    """

    def __init__(self, folder):
        self.files = tracked_files()
        self.tree = tree = folder / "tree"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not tree.exists():
                for name in self.files:
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, tree / name)
                self._build(tree, folder / "dist")
                self._build(tree, folder / "from_tree", "--wheel")
        (self.sdist,) = (folder / "dist").glob("*.tar.gz")
        (self.wheel_of_sdist,) = (folder / "dist").glob("*.whl")
        (self.wheel,) = (folder / "from_tree").glob("*.whl")

    @staticmethod
    def _build(tree, folder, *options):
        """As the documentation has it; by uv because it has downloaded already what a build needs."""
        path = f"{Path(pythons.uv()).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [
                *outside(tree),
                *(sys.executable, "-m", "build", "--installer", "uv", "--outdir", folder, *options, tree),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PATH": path},
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Environment:
    """A virtual environment of one Python, with a HOME and a working folder far from this checkout."""

    def __init__(self, folder, version, *requirements):
        self.version = version
        self.bin = folder / "venv" / "bin"
        self.python = self.bin / "python"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._uv("venv", "--quiet", "--python", pythons.python(version), folder / "venv")
        self._uv("pip", "install", "--quiet", "--python", self.python, *requirements)

    def _uv(self, *words):
        done = subprocess.run(
            [*outside(self.home), pythons.uv(), *words],
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def run(self, command, *words, status=0, seconds=120, path=""):
        """What a command of the environment wrote to stdout; to stderr instead where it is to fail.

        ``path`` is where else to look for commands, after the system's own.
        """
        done = subprocess.run(
            [self.bin / command, *words],
            cwd=self.home,
            env={
                "HOME": str(self.home),
                "PATH": f"{self.bin}:{os.defpath}:/usr/sbin:/sbin{path}",
                "TERM": "xterm",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The distribution."""
    folder = tmp_path_factory.getbasetemp()
    return Built((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "built")


@pytest.fixture(scope="session", params=pythons.VERSIONS)
def environment(request, built, tmp_path_factory):
    """The wheel and MatrixSwarm, on each Python that the distribution is for."""
    version, tested = request.param, request.config.stash[_TESTED]
    try:
        path = pythons.python(version)
    except pythons.NotToBeHadError as error:
        tested[version] = f"NOT TESTED: {error}"
        if os.environ.get("CI"):
            pytest.fail(f"{error}; install it, as with pyenv or uv, so that CI sees every Python")
        pytest.skip(str(error))
    tested[version] = f"tested with {path}"
    return Environment(tmp_path_factory.mktemp(f"python{version}-"), version, f"{built.wheel}[swarm]")
