"""Reads what tracked flows carry, from ``NETLINK_NETFILTER``; see nfnetlink_conntrack.h.

Guarantees: the table is that of the calling thread's network namespace. At most `MAX_ENTRIES` are read. A
flow is known by its addresses, ports and zone; one whose counters went back counts as 0 bytes. The kernel
keeps an entry for some seconds after the last packet, so a flow that ends in a window is still listed.
"""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from network_health.model import FlowTuple, TrackedFlow
from network_health.sources.linux import netlink, sysctl
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.errors import KernelFormatError

#: 50,000 take 0.17 s of CPU time, of which the kernel needs 0.1 s. The kernel's default limit is 262,144 on a
#: host with much memory.
MAX_ENTRIES = 200_000
#: How long one listing may take.
MAX_S = 2.0

_NETLINK_NETFILTER = 12
_NEW, _GET = 0x100, 0x101  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET
_BODY = struct.Struct("=BBH")  # nfgenmsg: family, version, resource
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF  # NLA_TYPE_MASK
_ORIGINAL, _REPLY, _STATUS, _COUNTERS, _COUNTERS_BACK, _ZONE = 1, 2, 3, 9, 10, 18
#: CTA_TUPLE_IP and CTA_TUPLE_PROTO are nested in a tuple.
#: The types of an attribute and of those that it is nested in.
_Path = tuple[int, ...]
#: CTA_TUPLE_IP and CTA_TUPLE_PROTO are nested in a tuple.
_NESTED: set[_Path] = {(_ORIGINAL,), (_REPLY,), (_COUNTERS,), (_COUNTERS_BACK,)} | {
    (direction, part) for direction in (_ORIGINAL, _REPLY) for part in (1, 2)
}
#: Of a tuple: source of IPv4 and IPv6, destination of both, and the ports; with their lengths.
_OF_TUPLE = {(1, 1): 4, (1, 3): 16, (1, 2): 4, (1, 4): 16, (2, 2): 2, (2, 3): 2}
_PROTOCOL: _Path = (_ORIGINAL, 2, 1)
_VALUES: tuple[_Path, ...] = (
    _PROTOCOL,
    (_STATUS,),
    *((direction, *path) for direction in (_ORIGINAL, _REPLY) for path in _OF_TUPLE),
)
_OFFLOADED = 1 << 14  # IPS_OFFLOAD
#: Packets and bytes of the original direction, then of the other one.
_COUNTER = struct.Struct(">QQQQ")
_NO_COUNTER = bytes(_COUNTER.size)
_COUNTERS_OF = tuple((each, kind) for each in (_COUNTERS, _COUNTERS_BACK) for kind in (1, 2))
_LENGTHS: dict[_Path, int] = {
    **{(direction, *path): _OF_TUPLE[path] for direction in (_ORIGINAL, _REPLY) for path in _OF_TUPLE},
    **dict.fromkeys(_COUNTERS_OF, 8),
    _PROTOCOL: 1,
    (_STATUS,): 4,
    (_ZONE,): 2,
    (_ORIGINAL, 3): 2,
}
_HASH_BITS = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(slots=True)
class FlowListing:
    """One listing: the counters by hash of the flow, and the flows that carried bytes since ``before``.

    ``flows`` is empty in a first listing (``before`` is ``None``). ``uncounted`` are entries without
    counters: accounting is off, or was when they were made. ``layouts`` are those known so far, by length.
    """

    before: Mapping[int, bytes] | None = None
    counters: ByteCounters = field(default_factory=lambda: ByteCounters(_COUNTER))
    flows: list[TrackedFlow] = field(default_factory=list)
    entries: int = 0
    uncounted: int = 0
    is_last: bool = False
    layouts: dict[int, _Layout] = field(default_factory=dict)


class _Layout(NamedTuple):
    """Where a message has what is needed; offsets are from the start of its attributes.

    A message has this layout if the bits ``mask`` of its first ``span`` bytes are those of ``headers``.
    ``identity`` is the original tuple. ``values`` are read from the message, and ``order`` has for each of
    `_VALUES` its place in them; that of a missing one is the last.
    """

    span: int
    mask: int
    headers: int
    counters: Callable[[bytes, int], tuple[Any, ...]] | None
    identity: slice
    zone: slice
    values: Callable[[bytes, int], tuple[Any, ...]]
    order: tuple[int, ...]


def is_accounting() -> bool | None:
    """Whether tracked flows have byte counters; ``None`` if the kernel does not track connections.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: the setting has an unknown format.
    """
    found = sysctl.read_numbers("netfilter/nf_conntrack_acct")
    return None if found is None else bool(found[0])


def read_flows(before: Mapping[int, bytes] | None = None, *, is_last: bool = False) -> FlowListing:
    """List the table, and compare it with the counters of the listing ``before``.

    Raises:
        OSError: the kernel denies access (it requires CAP_NET_ADMIN), or the table is too large.
        KernelFormatError: its answer has an unknown format.
    """
    entries = (sysctl.read_numbers("netfilter/nf_conntrack_count") or (0,))[0]
    if entries > MAX_ENTRIES:
        raise _too_large(entries)
    request = netlink.dump_request(_GET, _BODY.pack(0, 0, 0))
    deadline_s = time.monotonic() + MAX_S

    def add(datagram: bytes, listing: FlowListing) -> bool:
        if listing.entries > MAX_ENTRIES:  # it has grown meanwhile
            raise _too_large(listing.entries)
        if time.monotonic() > deadline_s:
            raise TimeoutError(errno.ETIMEDOUT, f"conntrack: not listed after {MAX_S} s")
        return parse(datagram, listing)

    return netlink.dump(_NETLINK_NETFILTER, request, partial(FlowListing, before, is_last=is_last), add)


def parse(datagram: bytes, listing: FlowListing) -> bool:
    """Add the entries of one datagram; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    before, known, layouts = listing.before, listing.counters.add, listing.layouts
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        start += _BODY.size
        if kind != _NEW or end < start:
            raise KernelFormatError(f"conntrack: a message of kind {kind} and {end - start} bytes")
        listing.entries += 1
        layout = layouts.get(end - start)
        if layout is None or not _fits(datagram, start, layout):
            layout = layouts[end - start] = _layout(datagram, start, end)
        if layout.counters is None:
            listing.uncounted += 1
            continue
        at, zone = layout.identity, layout.zone
        flow = datagram[start + at.start : start + at.stop] + datagram[start + zone.start : start + zone.stop]
        identity = hash(flow) & _HASH_BITS
        counter = b"".join(layout.counters(datagram, start))
        if not listing.is_last:
            known(identity, counter)
        if before is not None and (previous := before.get(identity)) != counter:
            listing.flows += _flow(datagram, start, layout, counter, previous or _NO_COUNTER)
    return False


def _flow(
    datagram: bytes, start: int, layout: _Layout, counter: bytes, previous: bytes
) -> Iterator[TrackedFlow]:
    """The flow with what it carried since ``previous``; none without bytes, or without IP addresses."""
    now, then = _COUNTER.unpack(counter), _COUNTER.unpack(previous)
    packets, sent, packets_back, received = (max(new - old, 0) for new, old in zip(now, then, strict=True))
    found = *layout.values(datagram, start), b""
    values = [found[at] for at in layout.order]
    (protocol, status, *tuples), zone = values, layout.zone
    original, reply = _tuple(tuples[:6]), _tuple(tuples[6:])
    if (sent or received) and protocol and original and reply:
        yield TrackedFlow(
            original,
            reply,
            protocol[0],
            sent,
            received,
            packets + packets_back,
            int.from_bytes(datagram[start + zone.start : start + zone.stop], "big"),
            bool(int.from_bytes(status, "big") & _OFFLOADED),
        )


def _tuple(values: list[bytes]) -> FlowTuple | None:
    """The tuple of source and destination, IPv4 and IPv6, and ports; ``None`` without addresses."""
    source, destination = values[0] or values[1], values[2] or values[3]
    if not source or len(source) != len(destination):
        return None
    return FlowTuple(source, destination, int.from_bytes(values[4], "big"), int.from_bytes(values[5], "big"))


def _fits(datagram: bytes, start: int, layout: _Layout) -> bool:
    bits = int.from_bytes(datagram[start : start + layout.span], "little")
    return bits & layout.mask == layout.headers


def _layout(datagram: bytes, start: int, end: int) -> _Layout:
    """The layout of the message whose attributes are between ``start`` and ``end``.

    Raises:
        KernelFormatError: a length does not fit, or the original tuple is missing.
    """
    mask = bytearray(end - start)
    places: dict[_Path, tuple[int, int]] = {}

    def walk(at: int, end: int, path: _Path) -> None:
        while at < end:
            if end - at < _ATTRIBUTE.size:
                raise KernelFormatError(f"conntrack: {end - at} bytes where an attribute should be")
            length, kind = _ATTRIBUTE.unpack_from(datagram, at)
            if not _ATTRIBUTE.size <= length <= end - at:
                raise KernelFormatError(f"conntrack: an attribute of {length} bytes in {end - at}")
            value = at + _ATTRIBUTE.size
            mask[at - start : value - start] = b"\xff" * _ATTRIBUTE.size
            found = *path, kind & _TYPE
            places.setdefault(found, (value - start, length - _ATTRIBUTE.size))
            if found in _NESTED:
                walk(value, at + length, found)
            at += length + 3 & ~3

    walk(start, end, ())
    _check_lengths(places)
    counted = [places[path] for path in _COUNTERS_OF if path in places]
    if counted != sorted(counted):
        raise KernelFormatError("conntrack: counters in an unknown order")
    present = sorted((path for path in _VALUES if path in places), key=places.__getitem__)
    bits = int.from_bytes(mask, "little")
    zone = places.get((_ZONE,)) or places.get((_ORIGINAL, 3)) or (0, 0)
    return _Layout(
        end - start,
        bits,
        int.from_bytes(datagram[start:end], "little") & bits,
        _reader(counted) if len(counted) == len(_COUNTERS_OF) else None,
        _slice(places[_ORIGINAL,]),
        _slice(zone),
        _reader([places[path] for path in present]),
        tuple(present.index(path) if path in places else -1 for path in _VALUES),
    )


def _check_lengths(places: Mapping[_Path, tuple[int, int]]) -> None:
    wrong = {path: places[path][1] for path in _LENGTHS if path in places}
    wrong = {path: length for path, length in wrong.items() if length != _LENGTHS[path]}
    if wrong or (_ORIGINAL,) not in places:
        raise KernelFormatError(f"conntrack: {wrong or 'an entry without addresses'}")


def _slice(place: tuple[int, int]) -> slice:
    return slice(place[0], sum(place))


def _reader(fields: list[tuple[int, int]]) -> Callable[[bytes, int], tuple[Any, ...]]:
    """Reads the bytes at these ascending offsets, each with its length."""
    text, at = "=", 0
    for offset, length in fields:
        text += f"{offset - at}x{length}s"
        at = offset + length
    return struct.Struct(text).unpack_from


def _too_large(entries: int) -> OSError:
    return OSError(errno.EFBIG, f"conntrack: {entries:,} entries, more than {MAX_ENTRIES:,}")
