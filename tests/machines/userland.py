"""Runs the tests of this project in a root folder of another processor; needs root."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

from tests.isolated import VARIABLE
from tests.tree import ROOT

#: Where the project is in a root folder, and the packages that the tests need.
PROJECT, SITE = "project", "opt/site"
ENVIRONMENT = (
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
    "QUICK=1",
    f"PYTHONPATH=/{PROJECT}:/{SITE}",
)
#: Packages of this environment without compiled parts; those with some are Debian's.
_PURE = (
    "_pytest",
    "pytest",
    "py.py",
    "pluggy",
    "iniconfig",
    "packaging",
    "execnet",
    "xdist",
    "pygments",
    "rich",
)
_SOURCES = (
    "network_health",
    "tests",
    "docs",
    "agent",
    "directives",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
)
#: A root folder that can be left with pivot_root(2), and has its own mounts.
_ENTER = """
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs tmp
mount --move . /
exec chroot . "$@"
"""


def add_project(root: Path) -> None:
    """Copy the project and the packages that its tests need to a root folder."""
    shutil.rmtree(root / PROJECT, ignore_errors=True)
    for name in _SOURCES:
        source, target = ROOT / name, root / PROJECT / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    site = Path(sysconfig.get_path("purelib"))
    for name in _PURE:
        for path in (
            site / name,
            *site.glob(f"{name}-*.dist-info"),
            *site.glob(f"pytest_{name}-*.dist-info"),
        ):
            if path.is_dir():
                shutil.copytree(path, root / SITE / path.name, dirs_exist_ok=True)
            elif path.exists():
                shutil.copy(path, root / SITE)
    command = root / "usr/bin/network-health"
    command.write_text(
        "#!/usr/bin/python3\nfrom network_health.cli.entry import run\nraise SystemExit(run())\n"
    )
    command.chmod(0o755)
    # Tests know processes of Python by this name, which a virtual environment has.
    (root / "usr/bin/python").unlink(missing_ok=True)
    (root / "usr/bin/python").symlink_to("python3")
    for name, text in {
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        "group": "root:x:0:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }.items():
        (root / "etc" / name).write_text(text)


def run(root: Path, *command: str, emulator: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the root folder, below an emulator of its processor if there is one.

    Below an emulator it can start no program of that processor, so it is not isolated again.
    """
    environment = ENVIRONMENT
    if emulator is not None:
        environment += (f"{VARIABLE}=1",)
        shutil.copy(emulator, root / "usr/bin")
        command = (f"/usr/bin/{emulator.name}", *command)
    words = ["env", "-i", *environment, "unshare", "--mount", "sh", "-e", "-c", _ENTER, root, *command]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
