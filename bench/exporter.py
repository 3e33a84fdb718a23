"""Finds Debian's prometheus-node-exporter, or unpacks its package into ``build/``.

The package is not installed, as it would start a service that listens on every address.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.programs import BUILD

PACKAGE = "prometheus-node-exporter"
UNPACKED = BUILD / PACKAGE


def exporter_path() -> str:
    """The path of the executable.

    Raises:
        FileNotFoundError: it is neither installed nor unpacked.
    """
    found = shutil.which(PACKAGE) or (str(UNPACKED) if UNPACKED.exists() else None)
    if found is None:
        raise FileNotFoundError(PACKAGE)
    return found


def install() -> str | None:
    """Unpack the exporter if it is missing; returns an error message if that fails."""
    try:
        exporter_path()
    except FileNotFoundError:
        return _unpack()
    return None


def _unpack() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            if not _succeeds(["apt-get", "download", PACKAGE], folder):
                _succeeds(["apt-get", "update", "-qq"], folder)
                if not _succeeds(["apt-get", "download", PACKAGE], folder):
                    return f"`apt-get download {PACKAGE}` failed"
            for package in Path(folder).glob("*.deb"):
                if not _succeeds(["dpkg-deb", "-x", str(package), folder], folder):
                    return f"the package {PACKAGE} cannot be unpacked"
        except FileNotFoundError as error:
            return f"{error.filename} is missing, so the package {PACKAGE} cannot be fetched"
        shutil.copy(Path(folder) / "usr/bin" / PACKAGE, UNPACKED)
    return None


def _succeeds(command: list[str], folder: str) -> bool:
    nowhere = subprocess.DEVNULL
    return subprocess.run(command, cwd=folder, stdout=nowhere, stderr=nowhere).returncode == 0
