"""Boots a kernel in an emulated machine, and runs one command in it."""

import subprocess
from pathlib import Path

from tests.kernels.packages import Kernel

MEMORY_MIB, DISK_MIB = 4096, 256


def run(kernel: Kernel, archive: Path, folder: Path, timeout_s: float) -> str:
    """What the console showed; ends when the machine powers off, or with ``TimeoutExpired``.

    What the command wrote to ``/dev/ttyS1`` is in ``folder/results``.
    """
    console, disk = folder / "console", folder / "disk"
    with disk.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    with console.open("wb") as output:
        subprocess.run(
            [
                "qemu-system-x86_64",
                *("-accel", "tcg,thread=multi"),
                *("-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB)),
                *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
                *("-kernel", kernel.image, "-initrd", archive),
                *("-append", "console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off nokaslr"),
                *("-serial", "stdio", "-serial", f"file:{folder / 'results'}"),
                *("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"),
                *("-netdev", "hubport,id=n0,hubid=0", "-device", "virtio-net-pci,netdev=n0"),
                *("-netdev", "hubport,id=n1,hubid=0", "-device", "e1000,netdev=n1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=True,
        )
    return console.read_text(errors="replace")
