"""Reads the recordings in ``tests/fixtures``; see ``record.py`` there."""

import json
import sys

from tests.tree import FIXTURES

#: The recordings of which kernel are read, and written: those in a folder of its own, or the others.
kernel = ""
KERNELS = ("",) if sys.byteorder == "big" else ("", "linux-6.1", "linux-6.12")
#: What is in the byte order of the machine, or was read at the same moment.
_OF_NETLINK = {"netlink", "rtnetlink", "sock_diag"}


def place(name):
    """The file of a recording: that of netlink is another one on a big-endian machine."""
    is_other = sys.byteorder == "big" and name.partition("/")[0] in _OF_NETLINK
    return FIXTURES / ("big-endian" if is_other else kernel) / name


def datagrams(name):
    """The datagrams of one netlink answer."""
    return [bytes.fromhex(line) for line in place(f"{name}.hex").read_text().splitlines()]


def text(name):
    """A file of /proc, as text."""
    return place(name).read_text()


def raw(name):
    """A file of /proc, as bytes."""
    return place(name).read_bytes()


def expected(name):
    """The values of another tool at the moment of the recording."""
    return json.loads(place(f"{name}.json").read_text())


def parsed(parse, empty, *recordings):
    """The result of ``parse`` for complete answers; each must end with its last datagram."""
    for recording in recordings:
        ends = [parse(datagram, empty) for datagram in datagrams(recording)]
        assert ends == [False] * (len(ends) - 1) + [True]
    return empty
