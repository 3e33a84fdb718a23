"""Where Debian's prometheus-node-exporter comes from: the system, or its package unpacked into ``build/``.

Unpacked, not installed: the package would start a service that listens on every address.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.contenders import BUILD

PACKAGE = "prometheus-node-exporter"
UNPACKED = BUILD / PACKAGE


def program() -> str:
    """The exporter's path.

    Raises:
        FileNotFoundError: it is neither installed nor unpacked.
    """
    found = shutil.which(PACKAGE) or (str(UNPACKED) if UNPACKED.exists() else None)
    if found is None:
        raise FileNotFoundError(PACKAGE)
    return found


def provide() -> str | None:
    """Make sure that there is one; returns why there is none, or ``None``."""
    try:
        program()
    except FileNotFoundError:
        return _unpack()
    return None


def _unpack() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            if not _ran(["apt-get", "download", PACKAGE], folder):
                _ran(["apt-get", "update", "-qq"], folder)
                if not _ran(["apt-get", "download", PACKAGE], folder):
                    return f"`apt-get download {PACKAGE}` failed"
            for package in Path(folder).glob("*.deb"):
                if not _ran(["dpkg-deb", "-x", str(package), folder], folder):
                    return f"the package {PACKAGE} cannot be unpacked"
        except FileNotFoundError as error:
            return f"{error.filename} is not here, so the package {PACKAGE} cannot be fetched"
        shutil.copy(Path(folder) / "usr/bin" / PACKAGE, UNPACKED)
    return None


def _ran(words: list[str], folder: str) -> bool:
    nowhere = subprocess.DEVNULL
    return subprocess.run(words, cwd=folder, stdout=nowhere, stderr=nowhere).returncode == 0
