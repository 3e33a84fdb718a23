"""The machines: Debian 12's kernels for this processor, and other processors."""

from tests.machines.machine import Machine

_X86_64 = ("qemu-system-x86_64", "-cpu", "max")
_I386 = ("qemu-system-i386", "-cpu", "max")
#: Two network cards on one wire.
_CARDS = (
    *("-netdev", "hubport,id=n0,hubid=0", "-device", "virtio-net-pci,netdev=n0"),
    *("-netdev", "hubport,id=n1,hubid=0", "-device", "e1000,netdev=n1"),
)


def _kernel(package: str) -> Machine:
    # Those newer than the release's own are among its security updates.
    options = {"devices": _CARDS, "with_security": "6.12" in package}
    return Machine(package, "amd64", package, _X86_64, "ttyS0", **options)


#: Each version that Debian 12 has, and each flavour, which differ in what they have.
KERNELS = {
    "6.1": _kernel("linux-image-amd64"),
    "6.1-cloud": _kernel("linux-image-cloud-amd64"),
    "6.1-rt": _kernel("linux-image-rt-amd64"),
    "6.12": _kernel("linux-image-6.12-amd64"),
    "6.12-cloud": _kernel("linux-image-6.12-cloud-amd64"),
    "6.12-rt": _kernel("linux-image-6.12-rt-amd64"),
}
PROCESSORS = {
    "big-endian": Machine(
        *("big-endian, 64 bit", "s390x", "linux-image-s390x"),
        *(("qemu-system-s390x", "-cpu", "max"), "ttysclp0"),
    ),
    "large-pages": Machine(
        *("pages of 64 KiB", "ppc64el", "linux-image-powerpc64le"),
        *(("qemu-system-ppc64", "-M", "pseries", "-cpu", "POWER9"), "hvc0"),
    ),
    "32-bit": Machine("32 bit", "i386", "linux-image-686", _I386, "ttyS0"),
    "no-ipv6": Machine(
        *("32 bit, IPv6 disabled at boot", "i386", "linux-image-686", _I386, "ttyS0", "ipv6.disable=1")
    ),
}
MACHINES = KERNELS | PROCESSORS
