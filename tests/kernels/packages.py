"""Debian's packaged kernels: taken from the registry by name, and unpacked, not installed."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel.

    Attributes:
        package: the name that was asked for, like ``linux-image-cloud-amd64``.
        release: as ``uname -r`` gives it.
        folder: where its ``boot`` and ``lib/modules`` are.
    """

    package: str
    release: str
    folder: Path

    @property
    def image(self) -> Path:
        """The file that boots."""
        return self.folder / "boot" / f"vmlinuz-{self.release}"


def fetch(package: str, folder: Path) -> Kernel:
    """Download and unpack the kernel that a package is, or that a meta package stands for."""
    name = _real_name(package)
    unpacked = folder / name
    if not (unpacked / "ready").exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        _run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name, cwd=unpacked)
        (archive,) = unpacked.glob("*.deb")
        _run("dpkg-deb", "-x", archive, unpacked)
        archive.unlink()
        release = _release(unpacked)
        _run("depmod", "-b", unpacked, release)
        (unpacked / "ready").touch()
    return Kernel(package, _release(unpacked), unpacked)


def _release(unpacked: Path) -> str:
    (modules,) = (unpacked / "lib" / "modules").iterdir()
    return modules.name


def _real_name(package: str) -> str:
    """A meta package depends on the newest kernel of its kind, and has no files."""
    fields = _run("apt-cache", "show", "--no-all-versions", package)
    needed = re.search(r"^Depends:.*?(linux-image-[0-9][^ ,]*)", fields, re.MULTILINE)
    return needed[1] if needed else package


def _run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run([str(each) for each in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
