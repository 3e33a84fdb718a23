"""Random bytes and changed recordings: a parser ends with a result or with a documented error."""

import contextlib
import random
import struct
import sys
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from network_health.sources.linux import (
    connection_counts,
    half_open,
    interface_addresses,
    netlink,
    procfs,
    rtnetlink,
    socket_groups,
    sockets,
    tcp_bytes,
    udp_sockets,
)
from network_health.sources.linux.errors import KernelFormatError
from tests.examples import examples
from tests.sources.linux import recorded

settings.register_profile("readers", deadline=None, max_examples=examples(150))

LOSS_PARSERS = {
    "sock_diag/every_state": (half_open.parse, half_open.Listing),
    "sock_diag/udp6": (udp_sockets.parse, list),
}
DATAGRAM_PARSERS = {
    "sock_diag/every_state": (connection_counts.count_sockets, Counter),
    "sock_diag/many_udp4": (connection_counts.count_sockets, Counter),
    "sock_diag/few_states": (socket_groups.parse_groups, lambda: socket_groups.GroupCounts("tcp")),
    "sock_diag/udp4": (sockets.parse, list),
    "sock_diag/udp6": (tcp_bytes.parse, lambda: tcp_bytes.TcpBytes({})),
    "rtnetlink/links": (rtnetlink.parse_links, dict),
    "rtnetlink/addresses": (interface_addresses.parse_interface_addresses, list),
    "rtnetlink/stats": (rtnetlink.parse_stats, dict),
}
FILE_PARSERS = {
    "stat": procfs.parse_stat,
    "io": procfs.parse_io,
    "status": procfs.parse_uid,
    "cmdline": procfs.parse_command,
}
STATES = st.integers(1, 11)
#: Where the low byte of an attribute's type is.
LOW_BYTE = 2 if sys.byteorder == "little" else 3
ATTRIBUTES = st.sampled_from([b"", struct.pack("=HHI", 8, 8, 0), struct.pack("=HHI", 8, 15, 0)])
DONE = netlink.HEADER.pack(20, netlink.DONE, 2, 1, 0) + bytes(4)


def changed(data, positions, values):
    """``data`` with some bytes replaced."""
    new = bytearray(data)
    for position, value in zip(positions, values, strict=False):
        new[position % len(new)] = value
    return bytes(new)


@pytest.mark.parametrize("name", DATAGRAM_PARSERS)
@settings(settings.get_profile("readers"))
@given(data=st.binary(max_size=400))
def test_any_datagram_is_parsed_or_an_error(name, data):
    """Random bytes give a result or a documented error."""
    parse, empty = DATAGRAM_PARSERS[name]
    with contextlib.suppress(KernelFormatError, OSError):
        parse(data, empty())


@pytest.mark.parametrize(
    ("name", "parser"),
    [
        pytest.param(name, parser, id=f"{name} {parser[0].__module__.rpartition('.')[2]}")
        for name, parser in (*DATAGRAM_PARSERS.items(), *LOSS_PARSERS.items())
    ],
)
@settings(settings.get_profile("readers"))
@given(
    positions=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=8),
    values=st.lists(st.integers(0, 255), min_size=1, max_size=8),
    cut=st.integers(0, 1 << 16),
)
def test_any_damaged_datagram_is_parsed_or_an_error(name, parser, positions, values, cut):
    """A recorded datagram with bytes changed or cut off gives a result or a documented error."""
    parse, empty = parser
    for datagram in recorded.datagrams(name):
        with contextlib.suppress(KernelFormatError, OSError):
            parse(changed(datagram, positions, values)[: cut or None], empty())


@settings(settings.get_profile("readers"))
@given(header=st.binary(min_size=8, max_size=8), which=st.integers(1, 20))
def test_a_damaged_header_never_adds_sockets(header, which):
    """With changed length, type or flags a message is an error, or its length covers other messages."""
    good = recorded.datagrams("sock_diag/many_udp4")[0]
    (length,) = struct.unpack_from("=I", good)
    at = which * length
    assume(header != good[at : at + 8])
    (claimed, kind, flags) = struct.unpack("=IHH", header)
    found = Counter()
    try:
        connection_counts.count_sockets(good[:at] + header + good[at + 8 :], found)
    except (KernelFormatError, OSError):
        return
    assert kind in (18, 20)
    assert claimed >= 88
    assert not flags & 0x10
    assert found.total() <= len(good) // length


@settings(settings.get_profile("readers"))
@given(
    sockets=st.lists(st.tuples(STATES, ATTRIBUTES, st.sampled_from([2, 10]), st.integers(0, 3)), max_size=40),
    seed=st.integers(0, 1000),
    done=st.booleans(),
)
def test_every_socket_is_counted_once(sockets, seed, done):
    """Messages of equal and of different length, in any order, are counted by state and first attribute."""
    random.Random(seed).shuffle(sockets)
    datagram, expected = b"", Counter()
    for state, attribute, family, more in sockets:
        body = bytes([family, state]) + bytes(70) + attribute + (attribute and bytes(4) * more)
        datagram += netlink.HEADER.pack(16 + len(body), 20, 2, 1, 0) + body
        expected[state, attribute[LOW_BYTE] if attribute else 0] += 1
    assume(datagram or done)
    found = Counter()
    assert connection_counts.count_sockets(datagram + (DONE if done else b""), found) is done
    assert found == expected


@settings(settings.get_profile("readers"))
@given(data=st.binary(max_size=100), start=st.integers(0, 100), end=st.integers(0, 100))
def test_attributes_are_never_read_beyond_their_end(data, start, end):
    """Values are between the two offsets, with any lengths."""
    start, end = min(start, len(data)), min(end, len(data))
    with contextlib.suppress(KernelFormatError):
        found = netlink.attributes(data, start, end, range(1 << 14))
        assert sum(4 + len(value) for value in found.values()) <= max(0, end - start)


@pytest.mark.parametrize("name", FILE_PARSERS)
@settings(settings.get_profile("readers"))
@given(data=st.binary(max_size=300))
def test_any_file_is_parsed_or_an_error(name, data):
    """Random bytes in a file of a process give a result or a documented error."""
    with contextlib.suppress(KernelFormatError):
        FILE_PARSERS[name](data)


@pytest.mark.parametrize("name", FILE_PARSERS)
@settings(settings.get_profile("readers"))
@given(
    positions=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=8),
    values=st.lists(st.integers(0, 255), min_size=1, max_size=8),
)
def test_any_damaged_file_is_parsed_or_an_error(name, positions, values):
    """A recorded file with bytes changed gives a result or a documented error."""
    with contextlib.suppress(KernelFormatError):
        FILE_PARSERS[name](changed(recorded.raw(f"procfs/busy/{name}"), positions, values))


@settings(settings.get_profile("readers"))
@given(name=st.binary(max_size=64).filter(lambda name: b"\0" not in name))
def test_a_process_name_does_not_change_the_other_values(name):
    """With any name, pid, CPU time, memory and start are the same."""
    stat = recorded.raw("procfs/brackets/stat")
    expected = procfs.parse_stat(stat)
    found = procfs.parse_stat(stat.replace(b"a (b) c) 1 2", name))
    assert (found.pid, found.cpu_s, found.rss_bytes, found.started) == (
        expected.pid,
        expected.cpu_s,
        expected.rss_bytes,
        expected.started,
    )
    assert found.name.encode("utf-8", "surrogateescape") == name


@settings(settings.get_profile("readers"))
@given(name=st.text(max_size=20), line=st.binary(max_size=80))
def test_a_full_name_begins_with_the_name(name, line):
    """A name is completed or unchanged, never replaced."""
    assert procfs.full_name(name, line).startswith(name)


@settings(settings.get_profile("readers"))
@given(program=st.text("abc/.-_", min_size=1), arguments=st.lists(st.text("xyz =/"), max_size=4))
def test_arguments_are_never_returned(program, arguments):
    """With any arguments, separated by NUL or by spaces, none of them is in the result."""
    for separator in ("\0", " "):
        line = separator.join([program, *arguments]).encode() + b"\0"
        assert not set(procfs.parse_command(line) or "") & set("xyz =")


@settings(settings.get_profile("readers"))
@given(texts=st.tuples(*[st.text(max_size=120)] * 3), damage=st.data())
def test_any_totals_are_parsed_or_an_error(texts, damage):
    """Random texts, and recorded ones with characters changed, give totals or a documented error."""
    with contextlib.suppress(KernelFormatError):
        connection_counts.parse_totals(*texts)
    good = [recorded.text(f"sock_diag/{name}") for name in ("snmp", "sockstat", "sockstat6")]
    which = damage.draw(st.integers(0, 2))
    at = damage.draw(st.integers(0, len(good[which]) - 1))
    good[which] = good[which][:at] + damage.draw(st.text(max_size=2)) + good[which][at + 1 :]
    with contextlib.suppress(KernelFormatError):
        connection_counts.parse_totals(*good)
