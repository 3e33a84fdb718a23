"""Debian 12 of any processor: packages from its registry by name, unpacked into a folder, not installed."""

import shutil
import subprocess
from pathlib import Path

from tests.isolated import outside

#: What the tests, and what they start, run.
PACKAGES = (
    "python3", "python3-psutil", "python3-hypothesis", "libsqlite3-0", "netbase",
    "dash", "bash", "coreutils", "util-linux", "mount", "findutils", "grep", "sed",
    "iproute2", "procps", "kmod", "wireguard-tools",
)  # fmt: skip
_RELEASE = "bookworm"
#: Documents and translations take a third of the space.
_LEFT_OUT = ("doc", "man", "locale", "zoneinfo", "info", "bash-completion")
_SIGNED_BY = "/usr/share/keyrings/debian-archive-keyring.gpg"
_CONFIGURATION = """
APT::Architecture "{architecture}";
APT::Architectures {{"{architecture}";}};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
"""


class Packages:
    """The packages of one processor; apt's state of this machine is not touched.

    The kernels newer than those of the release are among the security updates.
    """

    def __init__(self, architecture: str, folder: Path, *, with_security: bool = False) -> None:
        self.architecture, self._folder = architecture, folder
        self._configuration = folder / "apt.conf"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state/status").touch()
        self._configuration.write_text(_CONFIGURATION.format(architecture=architecture, folder=folder))
        lines = [f"deb [signed-by={_SIGNED_BY}] {site}\n" for site in _sites(with_security=with_security)]
        (folder / "sources.list").write_text("".join(lines))
        self._run("apt-get", "-qq", "update")

    def root(self) -> Path:
        """A root folder with `PACKAGES` and what they need."""
        root = self._folder / "root"
        ready, wanted = self._folder / "ready", " ".join(PACKAGES)
        if not ready.exists() or ready.read_text() != wanted:
            shutil.rmtree(root, ignore_errors=True)
            self._run("apt-get", "-qq", "--yes", "--download-only", "install", *PACKAGES)
            _make_root(root)
            for package in sorted((self._folder / "cache/archives").glob("*.deb")):
                _unpack(package, root)
            ready.write_text(wanted)
        return root

    def kernel(self, package: str) -> Path:
        """A folder with the ``boot`` and ``lib/modules`` of the kernel that a meta package depends on."""
        fields = self._run("apt-cache", "show", "--no-all-versions", package)
        depends = next(line for line in fields.splitlines() if line.startswith("Depends:"))
        name = next(word for word in depends.replace(",", " ").split() if word.startswith("linux-image-"))
        folder = self._folder / name
        if not folder.exists():
            parts = self._folder / f"{name}.part"
            shutil.rmtree(parts, ignore_errors=True)
            parts.mkdir()
            self._run("apt-get", "-qq", "download", name, cwd=parts)
            (archive,) = parts.glob("*.deb")
            _run("dpkg-deb", "-x", archive, parts)
            archive.unlink()
            (modules,) = (parts / "lib/modules").iterdir()
            _run("depmod", "-b", parts, modules.name)
            parts.rename(folder)
        return folder

    def _run(self, *command: object, cwd: Path | None = None) -> str:
        return _run("env", f"APT_CONFIG={self._configuration}", *command, cwd=cwd)


def _sites(*, with_security: bool) -> list[str]:
    """Where this machine has its Debian 12 from: ``URI suite component``."""
    wanted = "Created-By: Packages", "Origin: Debian", "Component: main"
    lines = _run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) main", *wanted).splitlines()
    suites = [_RELEASE, f"{_RELEASE}-security"][: 1 + with_security]
    sites = [line for line in lines if line.split()[1] in suites]
    if not sites:
        known = ", ".join(sorted({line.split()[1] for line in lines})) or "no release"
        raise RuntimeError(f"apt of this machine knows {known}, and not {_RELEASE}: run apt-get update")
    return list(dict.fromkeys(sites))


def _make_root(root: Path) -> None:
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "mnt", "etc", "matrix", "var/tmp", "opt/site"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):  # as Debian links them when it is installed
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")


def _unpack(package: Path, root: Path) -> None:
    left_out = [f"--exclude=./usr/share/{name}" for name in _LEFT_OUT]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
        command = ["tar", "-x", "--keep-directory-symlink", "-C", root, *left_out]
        subprocess.run(command, stdin=files.stdout, check=True)


def _run(*command: object, cwd: Path | None = None) -> str:
    words = [
        *outside(cwd or Path.cwd()),
        *map(str, command),
    ]  # the registry is not reached from a test's host
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
