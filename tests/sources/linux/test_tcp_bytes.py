"""Listings of tcp bytes: slices of equal messages give the same as one message after the other."""

import socket
import struct
import sys
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health.model import BYTE_COUNTER
from network_health.sources.linux import equal_messages as equal
from network_health.sources.linux import inet_diag, tcp_bytes
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.errors import KernelFormatError
from tests.examples import examples
from tests.sources.linux.messages import DONE, attribute, message, u32

settings.register_profile("tcp bytes", deadline=None, max_examples=examples(300))

INFO_BYTES = 240
#: Where the low half of the cookie is.
COOKIE = 44 if sys.byteorder == "little" else 48
#: What may stand before and after the tcp_info: the lengths of the messages differ, or only their layouts.
AROUND = {
    "usual": (b"", u32(inet_diag.MARK, 7)),
    "other place": (u32(inet_diag.MARK, 8), b""),
    "other kind": (b"", u32(99, 7)),
    "longer": (u32(99, 1) + u32(98, 2), b""),
    "shorter": (b"", b""),
}


def tcp_info(resent, sent, received):
    """An attribute with these counters."""
    value = bytearray(INFO_BYTES)
    struct.pack_into("=I", value, 100, resent)
    struct.pack_into("=QQ", value, 120, sent, received)
    struct.pack_into("=Q", value, 208, 1000 * resent)
    return attribute(inet_diag.INFO, bytes(value))


def tcp_message(cookie, state=1, inode=1, resent=0, octets=(0, 0), around="usual"):
    """The message of one socket; SYN_RECV has no tcp_info."""
    addresses = struct.pack(">HH", 80, cookie & 0xFFFF) + bytes([10, 0, 0, 1]).ljust(16, b"\0") * 2
    body = struct.pack("=BBBB", 2, state, 0, resent & 0xFF) + addresses + struct.pack("=IQ", 0, cookie)
    body += struct.pack("=IIIII", 0, 0, 0, 1000, inode)
    before, after = AROUND[around]
    info = b"" if state == 3 else tcp_info(resent, *octets)
    return message(inet_diag.TCP_OF_BOTH_FAMILIES, body, before, info, after)


SOCKETS = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from([1, 1, 1, 2, 3, 8, 10]),
        "inode": st.sampled_from([1, 2, (1 << 32) - 1, 0]),
        "resent": st.sampled_from([0, 0, 1, 2]),
        "octets": st.tuples(st.sampled_from([0, 1, (1 << 64) - 1]), st.sampled_from([0, 5])),
        "around": st.sampled_from(sorted(AROUND)),
    },
)


@st.composite
def listings(draw):
    """The sockets of two listings, by cookie: mostly ordinary ones; some change, end, begin, or move."""
    first = {cookie: {} for cookie in range(1, draw(st.integers(1, 121)))}
    first |= draw(st.dictionaries(st.integers(1, 120), SOCKETS, max_size=6))
    second = first | draw(st.dictionaries(st.integers(1, 140), SOCKETS, max_size=6))
    for cookie in draw(st.sets(st.integers(1, 140), max_size=4)):
        second.pop(cookie, None)
    order = sorted(second, key=lambda cookie: (draw(st.booleans()) and cookie % 7 == 0, cookie))
    return first, {cookie: second[cookie] for cookie in order}


def datagrams(sockets, size):
    """The messages of these sockets, ``size`` in each datagram; the last one has the end of the dump, too."""
    messages = [tcp_message(cookie, **each) for cookie, each in sockets.items()]
    parts = [b"".join(messages[at : at + size]) for at in range(0, len(messages), size)] or [b""]
    return [*parts[:-1], parts[-1] + DONE]


def listed(parts, before=None, *, is_last=False):
    """The listing of these datagrams, after the listing ``before``."""
    listing = tcp_bytes.TcpBytes(before and before.counters, before.resent if before else {}, is_last=is_last)
    assert [tcp_bytes.parse(part, listing) for part in parts] == [False] * (len(parts) - 1) + [True]
    return listing


def one_by_one(function, *args, **options):
    """The result of a function that finds no equal messages."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(equal, "equal_messages", lambda datagram, offset: None)
        return function(*args, **options)


def content(listing):
    """All that a listing has, in its order."""
    counters = list(listing.counters), list(listing.counters.items())
    return counters, list(listing.resent.items()), listing.changed, listing.listeners


@settings(settings.get_profile("tcp bytes"))
@given(both=listings(), size=st.integers(1, 90), is_last=st.booleans())
def test_slices_give_the_same_as_single_messages(both, size, is_last):
    """Counters, their order, changed sockets and listeners are the same, in both of two listings."""
    first, second = (datagrams(sockets, size) for sockets in both)
    fast, slow = listed(first), one_by_one(listed, first)
    assert content(fast) == content(slow)
    fast, slow = listed(second, fast, is_last=is_last), one_by_one(listed, second, slow, is_last=is_last)
    assert content(fast) == content(slow)


def outcome(part, before):
    """What one datagram gives: the whole listing, or the error."""
    listing = tcp_bytes.TcpBytes(before.counters)
    try:
        return tcp_bytes.parse(part, listing), content(listing)
    except (KernelFormatError, OSError) as error:
        return type(error), str(error)


@settings(settings.get_profile("tcp bytes"))
@given(
    damage=st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 1 << 14),
)
def test_a_damaged_datagram_gives_the_same_as_single_messages(damage, cut):
    """With changed bytes, or cut off, it is the same listing or the same error."""
    (part,) = datagrams({cookie: {} for cookie in range(1, 41)}, 40)
    before, changed = listed([part]), bytearray(part)
    for position, value in damage:
        changed[position % len(changed)] = value
    part = bytes(changed[: cut or None])
    assert outcome(part, before) == one_by_one(outcome, part, before)


@pytest.mark.parametrize("lengths", [("usual",) * 20, ("usual",) * 9 + ("longer",) * 4 + ("usual",) * 8])
def test_equal_messages_end_at_another_length(lengths):
    """They are those up to the first of another length; of fewer than eight there are none."""
    parts = [tcp_message(number, around=around) for number, around in enumerate(lengths)]
    offset, found = 0, []
    for part in parts:
        run = equal.equal_messages(b"".join(parts) + DONE, offset)
        found.append(run and (run.count, run.body(0)[0] - offset, list(run.column(COOKIE))))
        offset += len(part)
    runs = [
        next((n for n, x in enumerate(lengths[at:]) if x != lengths[at]), len(lengths) - at)
        for at in range(len(lengths))
    ]
    assert found == [(n, 16, list(range(at, at + n))) if n >= 8 else None for at, n in enumerate(runs)]


@given(
    st.integers(0, 20),
    st.integers(0, 25),
    st.dictionaries(st.integers(0, 24), st.sampled_from("cn"), max_size=2),
)
def test_the_same_counters_are_counted_up_to_a_difference(last, length, damage):
    """From the entry after the last lookup on; another cookie, another number, or the end ends the count."""
    counters = ByteCounters()
    for cookie in range(1, 21):
        counters.add(cookie, BYTE_COUNTER.pack(1, 2, cookie))
    assert counters.get(last) == (BYTE_COUNTER.pack(1, 2, last) if last else None)
    following = range(last + 1, last + 1 + length)
    cookies = array("Q", (99 if damage.get(n) == "c" else cookie for n, cookie in enumerate(following)))
    packed = [
        BYTE_COUNTER.pack(1, 3 if damage.get(n) == "n" else 2, each) for n, each in enumerate(following)
    ]
    counted = counters.count_same(cookies, b"".join(packed), 0, length)
    assert counted == min([*damage, length, 20 - last])
    after = last + counted + 1
    packed = BYTE_COUNTER.pack(1, 2, after)
    assert counters.count_same(array("Q", [0, after, 0]), bytes(20) + packed, 1, 2) == (after <= 20)


@pytest.mark.root
def test_slices_give_the_same_as_single_messages_of_the_kernel(namespace):
    """Real sockets, of which some carry bytes between two listings; the datagrams of both are read twice."""

    def run():
        request = inet_diag.tcp_request(tcp_bytes._STATES, 1 << inet_diag.INFO - 1)
        with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
            pairs = [(socket.create_connection(server.getsockname()), server.accept()[0]) for _ in range(150)]
            dumps = []
            for senders in ((), pairs[::40]):
                for sender, receiver in senders:
                    sender.sendall(bytes(500))
                    receiver.recv(500, socket.MSG_WAITALL)
                dumps.append(inet_diag.dump(request, list, keep))
            return dumps, len(pairs)

    def keep(datagram, parts):
        parts.append(datagram)
        return tcp_bytes.parse(datagram, tcp_bytes.TcpBytes(None))

    (first, second), pairs = namespace().call(run)
    before = listed(first)
    fast, slow = listed(second, before), one_by_one(listed, second, one_by_one(listed, first))
    assert content(fast) == content(slow)
    assert (len(fast.counters), len(fast.changed), len(fast.listeners)) == (2 * pairs, 2 * 4, 1)
    assert sum(found.count for part in second if (found := equal.equal_messages(part, 0))) > pairs
