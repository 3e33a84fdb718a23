"""System calls that the kernel refuses to this process from now on, as in a container; see seccomp(2)."""

import ctypes
import errno
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
AF_NETLINK = 16
#: Numbers of system calls.
SOCKET, BPF, SETNS = (
    {"x86_64": 41, "aarch64": 198},
    {"x86_64": 321, "aarch64": 280},
    {"x86_64": 308, "aarch64": 268},
)
#: Offsets in seccomp_data: number of the system call, and its first and third argument (little endian).
NUMBER, ARGUMENT_1, ARGUMENT_3 = 0, 16, 32
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050000


def deny_netlink(protocol=None):
    """Refuse netlink sockets, or those of one netlink protocol."""
    arguments = [(ARGUMENT_1, AF_NETLINK)]
    if protocol is not None:
        arguments.append((ARGUMENT_3, protocol))
    deny(SOCKET, *arguments)


def deny(call, *arguments, error=errno.EPERM):
    """Refuse a system call if its ``arguments`` (offset and value) are these."""
    tests = [(NUMBER, call[sys.implementation._multiarch.partition("-")[0]]), *arguments]
    program = b""
    for at, (offset, value) in enumerate(tests):
        to_allow = 2 * (len(tests) - at - 1) + 1
        program += struct.pack("=HBBI", LOAD, 0, 0, offset)
        program += struct.pack("=HBBI", JUMP_IF_EQUAL, 0, to_allow, value)
    program += struct.pack("=HBBI", RETURN, 0, 0, DENY | error)
    program += struct.pack("=HBBI", RETURN, 0, 0, ALLOW)
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0, ctypes.get_errno()
