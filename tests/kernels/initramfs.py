"""Makes the root folder that a kernel boots with: this project, its Python, the tools and the modules.

Everything has the path that it has here, so that the virtual environment works as it stands.
"""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.kernels.packages import Kernel

PROJECT = Path(__file__).parents[2]
#: What the tests, and what they start, run.
TOOLS = """
    sh bash mount umount sysctl modprobe ip ss tc ps pgrep pkill sleep cat rm cp mkdir ls env setpriv nsenter
    unshare pivot_root rmdir true false kill sort head grep taskset chroot sync uname readlink
"""
#: Kinds of links, protocols and queues that the tests make, and the hardware of the machine.
MODULES = """
    veth bridge br_netfilter bonding 8021q macvlan ipvlan vrf wireguard dummy vxlan ip_gre sit ipip tun ifb
    sch_netem sch_tbf sch_htb sch_prio sch_ingress act_mirred cls_matchall cls_u32
    tcp_diag udp_diag raw_diag inet_diag unix_diag netlink_diag sctp sctp_diag mptcp_diag
    nf_conntrack nf_conntrack_netlink nf_tables nft_ct nft_nat nft_chain_nat nft_masq nft_reject_inet
    nft_numgen nft_counter nft_limit nft_log nft_fib_inet nf_nat
    virtio_pci virtio_net virtio_blk e1000 ext4
"""
#: Names that tools know.
_NAMES = ("protocols", "services", "iproute2")
_LEFT_OUT = {
    "test", "tests", "idlelib", "ensurepip", "tkinter", "lib2to3", "turtledemo", "site-packages",
    "dist-packages", "distutils", "pydoc_data",
}  # fmt: skip
#: Packages of the virtual environment that no test here imports.
_PACKAGES_LEFT_OUT = ("playwright", "plotly", "pip", "mypy", "6ec57f84", "uv", "ruff", "openai", "discord")


def build(kernel: Kernel, folder: Path, command: str) -> Path:
    """Write the archive for this kernel; returns its path."""
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "mnt", "etc", "disk"):
        (root / name).mkdir(parents=True)
    for link, target in (
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ):
        (root / target).mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)
    programs = [*map(_found, TOOLS.split()), *_python()]
    for path in {*programs, *_libraries([*programs, *(PROJECT / ".venv").rglob("*.so")])}:
        _copy(path, root)
    _copy_project(root)
    _copy_modules(kernel, root)
    shutil.copy(Path(__file__).with_name("init"), root / "init")
    (root / "init").chmod(0o755)
    (root / "command").write_text(command)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    for name in _NAMES:
        path = Path("/etc", name)
        if path.is_dir():
            shutil.copytree(path, root / "etc" / name)
        elif path.exists():
            shutil.copy(path, root / "etc" / name)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    archive = folder / f"{kernel.release}.cpio"
    with archive.open("wb") as file:
        listing = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, check=True, input=listing, stdout=file
        )
    return archive


def _found(tool: str) -> Path:
    path = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        raise RuntimeError(f"the tool {tool} is not installed")
    return Path(path)


def _python() -> Iterator[Path]:
    """The interpreter and its standard library."""
    path = PROJECT / ".venv/bin/python"
    while path.is_symlink():  # each of the names of the interpreter that the environment was made with
        path = path.parent / path.readlink()
        if not path.is_relative_to(PROJECT):
            yield path
    for name in ("stdlib", "platstdlib"):
        for path in _files(Path(sysconfig.get_path(name, vars={}))):
            yield path


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in _LEFT_OUT and not each.startswith("config-")]
        yield from (Path(parent, name) for name in names if not name.endswith(".a"))


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries that they load, by ldd."""
    binaries = [str(path) for path in programs if _is_elf(path)]
    output = subprocess.run(["ldd", *binaries], capture_output=True, text=True).stdout
    words = [word for line in output.splitlines() for word in line.split() if not line.endswith(":")]
    return {Path(word) for word in words if word.startswith("/")}


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _copy(path: Path, root: Path) -> None:
    """A file, with the folders that it is in; a link as what it leads to."""
    parent = path.parent.resolve()
    target = root / parent.relative_to("/") / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy(path, target)


def _copy_project(root: Path) -> None:
    def left_out(folder: str, names: list[str]) -> list[str]:
        if folder.endswith("site-packages"):
            return [name for name in names if name.startswith(_PACKAGES_LEFT_OUT)]
        return [name for name in names if name in {".git", "__pycache__", "build"}]

    shutil.copytree(PROJECT, root / PROJECT.relative_to("/"), ignore=left_out, symlinks=True)


def _copy_modules(kernel: Kernel, root: Path) -> None:
    """The modules and what they need; those that this kernel has built in, or has not, are no error."""
    base = kernel.folder
    for name in MODULES.split():
        done = subprocess.run(
            ["modprobe", "-d", base, "-S", kernel.release, "--show-depends", name],
            capture_output=True,
            text=True,
        )
        for line in done.stdout.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "insmod":
                path = Path(rest.split()[0])
                target = root / "usr" / path.relative_to(base)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    modules = Path("lib/modules") / kernel.release
    for path in (base / modules).glob("modules.*"):
        shutil.copy(path, root / "usr" / modules)
    subprocess.run(["depmod", "-b", root, kernel.release], check=True)
