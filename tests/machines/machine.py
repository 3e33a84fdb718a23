"""Boots one of Debian's kernels in an emulated machine, and runs a command there."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.machines import userland
from tests.machines.debian import Packages

#: The kinds of links, the protocols and the queues that the tests need, and the hardware.
_MODULES = (
    "veth bridge br_netfilter 8021q macvlan ipvlan bonding vrf vxlan dummy tun wireguard ip_gre sit ipip ifb "
    "tcp_diag udp_diag raw_diag inet_diag unix_diag netlink_diag sctp sctp_diag mptcp_diag "
    "nf_conntrack nf_conntrack_netlink nf_tables nft_ct nft_nat nft_chain_nat nft_masq nft_numgen nft_limit "
    "sch_netem sch_tbf sch_htb sch_prio sch_ingress act_mirred cls_matchall cls_u32 "
    "virtio_pci virtio_blk virtio_net e1000 ext4"
)
#: Those that no kernel loads by itself when a test needs them.
_LOADED = "virtio_pci virtio_blk virtio_net e1000 ext4 tun nf_conntrack br_netfilter"
_MEMORY_MIB, _DISK_MIB = 3072, 256
_INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts /disk
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
PATH=/usr/sbin:/usr/bin
modprobe -a -q {modules}
ip link set lo up
echo 1 >/proc/sys/kernel/printk
# New namespaces have no sit0 and its like, which the modules of tunnels would add.
echo 2 >/proc/sys/net/core/fb_tunnels_only_for_init_net
# What is written to memory is not counted as written bytes.
mount -t ext4 /dev/vda /disk
chmod 1777 /disk
ulimit -n 1048576
# A root folder that can be left with pivot_root(2), which that of an initramfs cannot.
mount --rbind / /mnt
cd /mnt
mount --move . /
chroot . env -i {environment} CI=true TMPDIR=/disk /bin/sh /command
echo "exit status $?"
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True)
class Machine:
    """A processor as Debian and qemu name it, and what is special about it.

    ``kernel`` is a meta package. ``options`` are added to the kernel's command line, ``devices`` to qemu's.
    """

    what: str
    architecture: str
    kernel: str
    emulator: tuple[str, ...]
    console: str
    options: str = ""
    devices: tuple[str, ...] = ()
    with_security: bool = False

    def run(self, folder: Path, command: str, timeout_s: float) -> str:
        """What the console showed; ends when the machine powers off, or with ``TimeoutExpired``."""
        packages = Packages(self.architecture, folder, with_security=self.with_security)
        root, kernel = packages.root(), packages.kernel(self.kernel)
        userland.add_project(root)
        (root / "init").write_text(_INIT.format(modules=_LOADED, environment=" ".join(userland.ENVIRONMENT)))
        (root / "init").chmod(0o755)
        (root / "command").write_text(f"cd /{userland.PROJECT}\n{command}\n")
        _copy_modules(kernel, root)
        console = folder / "console"
        with console.open("wb") as output:
            subprocess.run(
                self._words(kernel, _archive(root, folder / "initramfs"), _disk(folder / "disk")),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=True,
            )
        return console.read_text(errors="replace")

    # One CPU: with more, kernels that patch their code while it runs stop at int3 in this emulator.
    def _words(self, kernel: Path, archive: Path, disk: Path) -> list[object]:
        (image,) = (kernel / "boot").glob("vmlinu[xz]-*")
        options = f"console={self.console} quiet panic=-1 rdinit=/init {self.options}"
        return [
            *(*self.emulator, "-accel", "tcg", "-smp", "1", "-m", str(_MEMORY_MIB)),
            *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", *self.devices),
            *("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"),
            *("-kernel", image, "-initrd", archive, "-append", options),
        ]


def _archive(root: Path, path: Path) -> Path:
    with path.open("wb") as file:
        names = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, check=True, input=names, stdout=file
        )
    return path


def _disk(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(_DISK_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    return path


def _copy_modules(kernel: Path, root: Path) -> None:
    """The modules with those that they need; one that this kernel lacks, or has built in, is no error."""
    (folder,) = (kernel / "lib/modules").iterdir()
    shutil.rmtree(root / "usr/lib/modules", ignore_errors=True)
    target = root / "usr/lib/modules" / folder.name
    target.mkdir(parents=True)
    for name in _MODULES.split():
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
