"""The parsers on other processors: a big-endian Python below an emulator, and a 32-bit one.

Both are Debian's. Without root, or without the registry, `python -m tests.machines` has the same.
"""

import shutil
from pathlib import Path

import pytest

from tests.machines import userland
from tests.machines.debian import Packages

pytestmark = [pytest.mark.packaging, pytest.mark.root]

PARSERS = ("-m", "not root and not slow", "tests/sources/linux")
#: These ask the running kernel, which the emulator can only to a degree, or start programs.
LIVE = (
    *(
        "--ignore=tests/sources/linux/test_hostile_processes.py",
        "--ignore=tests/sources/linux/test_scripts.py",
    ),
    *("-k", "not the_running_kernel and not real_socket and not times_of_64_bits"),
)
FACTS = "import ctypes, sys; print(sys.byteorder, 8 * ctypes.sizeof(ctypes.c_void_p))"


@pytest.mark.parametrize(
    ("architecture", "emulator", "facts"),
    [("s390x", "qemu-s390x-static", "big 64"), ("i386", "", "little 32")],
)
def test_the_parsers(architecture, emulator, facts, tmp_path):
    """Their tests pass there, with recordings in the byte order of that processor."""
    path = Path(shutil.which(emulator)) if emulator else None
    root = Packages(architecture, tmp_path).root()
    userland.add_project(root)
    assert userland.run(root, "/usr/bin/python3", "-c", FACTS, emulator=path).stdout == f"{facts}\n"
    script = "import os, sys, pytest; os.chdir(sys.argv.pop(1)); sys.exit(pytest.main())"
    words = (
        "-c",
        script,
        f"/{userland.PROJECT}",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        *PARSERS,
        *(LIVE if emulator else ()),
    )
    done = userland.run(root, "/usr/bin/python3", *words, emulator=path)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
