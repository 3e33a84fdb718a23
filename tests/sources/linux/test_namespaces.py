"""Other network namespaces: damaged answers, and real ones with processes, mounts and veth pairs."""

import contextlib
import errno
import os
import socket
import struct
import subprocess
import time

import pytest

from network_health.sources.linux import namespace_ids
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.namespaces import NetworkNamespace, read_namespaces
from tests.netns import veth
from tests.sources.linux.messages import attribute, failed, message


def answer(*attributes, kind=88):
    return message(kind, bytes(4), *attributes)


def test_the_id_of_a_namespace_is_read():
    """An id of -1 says that the kernel has given none."""
    both = [namespace_ids.parse_namespace_id(answer(attribute(1, struct.pack("=i", n)))) for n in (7, -1)]
    assert both == [7, None]


@pytest.mark.parametrize(
    ("datagram", "error"),
    [
        (failed(errno.ESRCH), OSError),
        (answer(kind=16), KernelFormatError),
        (answer(), KernelFormatError),
        (answer(attribute(1, b"\1\0")), KernelFormatError),
        (b"", KernelFormatError),
    ],
)
def test_a_damaged_id_is_an_error(datagram, error):
    """An ended process and an answer in an unknown format are errors, never another namespace."""
    with pytest.raises(error):
        namespace_ids.parse_namespace_id(datagram)


@contextlib.contextmanager
def living_in(namespace, command=("sleep", "60")):
    """A process in the namespace; it is killed in the end."""
    process = subprocess.Popen(["ip", "netns", "exec", namespace.name, *command])
    try:
        inode = inode_of(namespace)
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino != inode:
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def inode_of(namespace):
    return os.stat(f"/run/netns/{namespace.name}").st_ino


@pytest.mark.root
def test_namespaces_have_their_processes_and_veths(namespace):
    """One has a process and a veth, one only a mount and a veth; a namespace does not list itself."""
    host, busy, idle = namespace(), namespace(), namespace()
    veth(host, busy, ("v-busy", "eth0"))
    veth(host, idle, ("v-idle", "eth0"), ("10.78.0.1/24", "10.78.0.2/24"))
    with living_in(busy) as process:

        def read():
            links = {name: socket.if_nametoindex(name) for name in ("v-busy", "v-idle")}
            return links, read_namespaces()

        links, found = host.call(read)
        ours = {each.inode: each for each in found}
        assert inode_of(host) not in ours
        assert [ours[inode_of(each)] for each in (busy, idle)] == [
            NetworkNamespace(inode_of(busy), f"/proc/{process.pid}/ns/net", process.pid, (links["v-busy"],)),
            NetworkNamespace(inode_of(idle), f"/run/netns/{idle.name}", None, (links["v-idle"],)),
        ]
