"""If the kernel denies access to its own interfaces (a seccomp filter, as in containers), psutil is used."""

import ctypes
import struct
import sys

import pytest

from network_health import Monitor

pytestmark = pytest.mark.root

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
AF_NETLINK, NETLINK_SOCK_DIAG = 16, 4
EPERM = 1
SOCKET = {"x86_64": 41, "aarch64": 198}
#: Offsets in seccomp_data: number of the system call, and its first and third argument (little endian).
NUMBER, ARGUMENT_1, ARGUMENT_3 = 0, 16, 32
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050000 | EPERM


def deny_sockets(machine, protocol=None):
    """From now on this process gets EPERM for netlink sockets, or for those of one netlink protocol."""
    tests = [(NUMBER, SOCKET[machine]), (ARGUMENT_1, AF_NETLINK)]
    if protocol is not None:
        tests.append((ARGUMENT_3, protocol))
    program = b""
    for at, (offset, value) in enumerate(tests):
        to_allow = 2 * (len(tests) - at - 1) + 1
        program += struct.pack("=HBBI", LOAD, 0, 0, offset)
        program += struct.pack("=HBBI", JUMP_IF_EQUAL, 0, to_allow, value)
    program += struct.pack("=HBBI", RETURN, 0, 0, DENY) + struct.pack("=HBBI", RETURN, 0, 0, ALLOW)
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0, ctypes.get_errno()


@pytest.mark.parametrize(
    ("protocol", "readers"),
    [
        (NETLINK_SOCK_DIAG, {"interfaces": "kernel", "connections": "psutil", "processes": "kernel"}),
        (None, {"interfaces": "psutil", "connections": "psutil", "processes": "kernel"}),
    ],
    ids=["sock_diag denied", "all netlink denied"],
)
def test_without_access_psutil_is_used(namespace, protocol, readers):
    """The report is complete and healthy, has the same number of sockets, and names the readers."""

    def watch():
        deny_sockets(sys.implementation._multiarch.partition("-")[0], protocol)
        report = Monitor().check()
        return report.status, report.metrics

    status, metrics = namespace().call(watch)
    assert status == "healthy"
    assert metrics["check"]["readers"].items() >= readers.items()
    assert metrics["total_connections"] == 0
    assert "lo" in [i["iface"] for i in metrics["interfaces"]]
    assert metrics["top_procs"]


def test_a_monitor_that_loses_access_uses_psutil(namespace):
    """The first check uses the kernel, the second one has no access to it."""

    def watch():
        monitor = Monitor()
        before = monitor.check().metrics["check"]["readers"]["connections"]
        deny_sockets(sys.implementation._multiarch.partition("-")[0], NETLINK_SOCK_DIAG)
        after = monitor.check()
        return before, after.metrics["check"]["readers"]["connections"], after.status

    assert namespace().call(watch) == ("kernel", "psutil", "healthy")
