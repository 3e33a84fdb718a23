"""Boots Debian's kernel for another processor in an emulated machine, and runs the tests in it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.architectures import userland
from tests.architectures.debian import Registry

#: The kinds of links and the protocols that the tests need.
MODULES = (
    "veth bridge 8021q macvlan ipvlan bonding vrf dummy tun tcp_diag udp_diag raw_diag inet_diag unix_diag "
    "netlink_diag nf_conntrack nf_conntrack_netlink nf_tables nft_ct nft_nat nft_chain_nat nft_masq "
    "sch_netem sch_tbf sch_htb sch_prio sch_ingress act_mirred cls_matchall cls_u32 vxlan"
)
MEMORY_MIB = 3072
_INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
PATH=/usr/sbin:/usr/bin
modprobe -a -q {modules}
ip link set lo up
echo 1 >/proc/sys/kernel/printk
# A root folder that can be left with pivot_root(2), which that of an initramfs cannot.
mount --rbind / /mnt
cd /mnt
mount --move . /
chroot . env -i {environment} CI=true /bin/sh /command
echo "exit status $?"
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True)
class Machine:
    """A processor as Debian and qemu name it, and what is special about it.

    ``options`` are added to the kernel's command line.
    """

    what: str
    architecture: str
    kernel: str
    emulator: tuple[str, ...]
    console: str
    options: str = ""


MACHINES = {
    "big-endian": Machine(
        *(
            "big-endian, 64 bit",
            "s390x",
            "linux-image-s390x",
            ("qemu-system-s390x", "-cpu", "max"),
            "ttysclp0",
        )
    ),
    "large-pages": Machine(
        *("pages of 64 KiB", "ppc64el", "linux-image-powerpc64le"),
        *(("qemu-system-ppc64", "-M", "pseries", "-cpu", "POWER9"), "hvc0"),
    ),
    "32-bit": Machine(*("32 bit", "i386", "linux-image-686", ("qemu-system-i386", "-cpu", "max"), "ttyS0")),
    "no-ipv6": Machine(
        *("32 bit, IPv6 disabled at boot", "i386", "linux-image-686"),
        *(("qemu-system-i386", "-cpu", "max"), "ttyS0", "ipv6.disable=1"),
    ),
}


def run(machine: Machine, folder: Path, command: str, timeout_s: float) -> str:
    """What the console showed; ends when the machine powers off, or with ``TimeoutExpired``."""
    registry = Registry(machine.architecture, folder)
    root, kernel = registry.root(), registry.kernel(machine.kernel)
    userland.add_project(root)
    (root / "init").write_text(_INIT.format(modules=MODULES, environment=" ".join(userland.ENVIRONMENT)))
    (root / "init").chmod(0o755)
    (root / "command").write_text(f"cd /{userland.PROJECT}\n{command}\n")
    _copy_modules(kernel, root)
    archive, console = folder / "initramfs", folder / "console"
    with archive.open("wb") as file:
        names = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, check=True, input=names, stdout=file
        )
    (image,) = (kernel / "boot").glob("vmlinu[xz]-*")
    options = f"console={machine.console} quiet panic=-1 rdinit=/init {machine.options}"
    with console.open("wb") as output:
        subprocess.run(
            [
                *(*machine.emulator, "-accel", "tcg", "-smp", "1", "-m", str(MEMORY_MIB), "-nodefaults"),
                *("-display", "none", "-no-reboot", "-serial", "stdio"),
                *("-kernel", image, "-initrd", archive, "-append", options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=True,
        )
    return console.read_text(errors="replace")


def _copy_modules(kernel: Path, root: Path) -> None:
    """The modules with those that they need; one that this kernel lacks, or has built in, is no error."""
    (folder,) = (kernel / "lib/modules").iterdir()
    target = root / "usr/lib/modules" / folder.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in MODULES.split():
        command = ["modprobe", "-d", kernel, "-S", folder.name, "--show-depends", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for line in shown.splitlines():
            kind, path, *_ = line.split()  # options may follow
            if kind == "insmod":
                module = target / Path(path).relative_to(folder)
                module.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, module)
    for path in folder.glob("modules.*"):
        shutil.copy(path, target)
    subprocess.run(["depmod", "-b", root, folder.name], check=True)
