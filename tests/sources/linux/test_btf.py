"""The offsets of the kernel's structures, from BTF."""

import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.sources.linux import bpf, bpf_program, btf
from network_health.sources.linux.errors import KernelFormatError
from tests.sources.linux import recorded

STRUCT, UNION, INT, TYPEDEF, UNKNOWN = 4, 5, 1, 8, 31
WANTED = {"sock": ("family", "address"), "net": ("ns",)}


class Btf:
    """BTF as the kernel has it; ``type`` adds one."""

    def __init__(self):
        self.texts, self.types = b"\0", b""

    def text(self, name):
        if not name:
            return 0
        self.texts += name.encode() + b"\0"
        return len(self.texts) - len(name) - 1

    def type(self, kind, name, members=(), flag=0):
        """Members are (name, type, offset in bits)."""
        self.types += struct.pack("=III", self.text(name), flag << 31 | kind << 24 | len(members), 8)
        if kind == INT:
            self.types += bytes(4)
        for member, of_type, bits in members:
            self.types += struct.pack("=III", self.text(member), of_type, bits)
        return self

    def bytes(self):
        sizes = len(self.types), len(self.types), len(self.texts)
        header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, *sizes)
        return header + self.types + self.texts


def host():
    """The type 1 is an int, 2 an anonymous union, 3 the structure sock that has it, 4 net."""
    return (
        Btf()
        .type(INT, "int")
        .type(UNION, "", [("address", 1, 32), ("pair", 1, 0)])
        .type(STRUCT, "sock", [("", 2, 64), ("bits", 1, 3 << 24 | 128), ("family", 1, 160)], flag=1)
        .type(STRUCT, "net", [("ns", 1, 1216)])
        .type(TYPEDEF, "sent")
    )


def offsets(data):
    return btf.parse_types(data, WANTED, ()).offsets


def test_offsets_of_members():
    """Members of anonymous unions have their offset in the outer structure; of wanted structures alone."""
    assert offsets(host().bytes()) == {"sock": {"address": 12, "family": 20}, "net": {"ns": 152}}


def test_ids_of_type_definitions():
    """Of those that are wanted; one that is missing is an error."""
    assert btf.parse_types(host().bytes(), {}, ["sent"]).typedefs == {"sent": 5}
    with pytest.raises(KernelFormatError, match="BTF has no received"):
        btf.parse_types(host().bytes(), {}, ["sent", "received"])


def test_the_same_structure_twice():
    """A second structure of a name does no harm if its members are at the same places."""
    twice = host().type(STRUCT, "net", [("ns", 1, 1216)])
    assert offsets(twice.bytes())["net"] == {"ns": 152}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (host().type(STRUCT, "net", [("ns", 1, 8)]).bytes(), "BTF has several structures net"),
        (Btf().type(STRUCT, "sock", [("family", 1, 0)]).bytes(), "BTF has no sock.address"),
        (host().type(UNKNOWN, "new").bytes(), "BTF has a type of the unknown kind 31"),
        (b"\0" + host().bytes()[1:], "BTF has an unknown version, or is cut"),
        (host().bytes()[:-9], "BTF has an unknown version, or is cut"),
        (b"", "BTF is damaged: unpack_from requires a buffer of at least 24 bytes"),
        (host().type(STRUCT, "net", [("", 6, 0)] * 9000).bytes(), "too many members"),
        (host().type(STRUCT, "net", [("", 99, 0)]).bytes(), "BTF is damaged: array index out of range"),
    ],
    ids=["ambiguous", "missing", "kind", "magic", "cut", "empty", "recursive", "no such type"],
)
def test_what_is_not_understood_is_an_error(data, says):
    """It is one error with a reason, and no offset is guessed."""
    with pytest.raises(KernelFormatError, match=says):
        offsets(data)


@given(
    st.lists(st.tuples(st.integers(0, len(host().bytes()) - 1), st.integers(0, 255)), max_size=8), st.data()
)
def test_damaged_btf(changes, data):
    """Whatever the bytes are: offsets of all that is wanted, or the one error."""
    damaged = bytearray(host().bytes())
    for at, value in changes:
        damaged[at] = value
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        found = offsets(cut)
    except KernelFormatError:
        return
    assert {name: set(members) for name, members in found.items()} == {
        name: set(members) for name, members in WANTED.items()
    }


# BTF has the byte order of its kernel, and bpf is not supported on big-endian systems.
@pytest.mark.skipif(sys.byteorder == "big", reason="the recorded types are little-endian")
def test_recorded_types(each_kernel):
    """The tracepoints are there since 6.3; on an older kernel the error names what is missing."""
    types = recorded.raw("types.btf")
    if each_kernel == "linux-6.1":
        with pytest.raises(KernelFormatError, match=r"BTF has no btf_trace_sock_(send|recv)_length"):
            btf.parse_types(types, bpf_program.MEMBERS, bpf._TRACEPOINTS)
        found = btf.parse_types(types, bpf_program.MEMBERS, ())
    else:
        found = btf.parse_types(types, bpf_program.MEMBERS, bpf._TRACEPOINTS)
    assert found.offsets["sock_common"]["skc_daddr"] == 0
    assert {name: len(members) for name, members in found.offsets.items()} == {
        name: len(members) for name, members in bpf_program.MEMBERS.items()
    }


def test_the_running_kernel():
    """The kernel's own BTF has what is wanted."""
    try:
        found = btf.read_types({"sock_common": ("skc_daddr", "skc_rcv_saddr")}, ()).offsets
    except FileNotFoundError:
        pytest.skip("this kernel has no BTF")
    assert found == {"sock_common": {"skc_daddr": 0, "skc_rcv_saddr": 4}}
