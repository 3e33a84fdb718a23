"""Requests netlink dumps and iterates over their messages and attributes; see netlink(7).

Guarantees: a dump is complete, or raises. Every length is checked before it is used.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import TypeVar

from network_health.sources.linux.errors import KernelFormatError

T = TypeVar("T")

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
DONE = 3  # NLMSG_DONE
INTERRUPTED = 0x010  # NLM_F_DUMP_INTR: the data changed during the dump

_ERROR = 2  # NLMSG_ERROR
_REQUEST = 0x001  # NLM_F_REQUEST
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_STATUS = struct.Struct("=i")
_MAX_ERRNO = 4095
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_ATTRIBUTE_TYPE = 0x3FFF  # NLA_TYPE_MASK
_BUFFER_BYTES = 65536  # the kernel makes batches of 32 KiB at most
_ATTEMPTS = 5
_TIMEOUT_S = 5
_TIMEOUT_OF_64_BITS = 66  # SO_RCVTIMEO_NEW


def dump_request(kind: int, body: bytes) -> bytes:
    """The request for a dump with this message type and body."""
    return HEADER.pack(HEADER.size + len(body), kind, _DUMP_REQUEST, 1, 0) + body


def dump(protocol: int, request: bytes, empty: Callable[[], T], parse: Callable[[bytes, T], bool]) -> T:
    """Send ``request`` and call ``parse`` with each datagram of the answer, until it returns True.

    ``empty`` creates the result that ``parse`` adds to. If the data changed during the dump
    (``NLM_F_DUMP_INTR``), the dump is repeated, up to five attempts.

    Raises:
        OSError: the kernel reports an error, does not answer in time, or was interrupted each time.
        KernelFormatError: the answer has an unknown format.
    """
    buffer = bytearray(_BUFFER_BYTES)
    for _ in range(_ATTEMPTS):
        result = empty()
        try:
            with _connect(protocol) as kernel:
                kernel.send(request)
                while not parse(_receive(kernel, buffer), result):
                    pass
            return result
        except InterruptedError as error:
            interrupted = error
    raise interrupted


class KeptSocket:
    """Requests dumps over one socket: a new one for each dump takes half of the time of a short one."""

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol
        self._kernel: socket.socket | None = None
        self._buffer = bytearray(_BUFFER_BYTES)

    def dump(self, request: bytes, empty: Callable[[], T], parse: Callable[[bytes, T], bool]) -> T:
        """See the function `dump`; one attempt. After an error the next dump has a new socket.

        Raises:
            OSError: the kernel reports an error, does not answer in time, or was interrupted.
            KernelFormatError: the answer has an unknown format.
        """
        kernel, self._kernel = self._kernel or _connect(self._protocol), None
        try:
            kernel.send(request)
            result = empty()
            while not parse(_receive(kernel, self._buffer), result):
                pass
        except (OSError, KernelFormatError):
            kernel.close()
            raise
        self._kernel = kernel
        return result

    def close(self) -> None:
        """Close the socket; the next dump has a new one."""
        if self._kernel is not None:
            self._kernel.close()
        self._kernel = None


@contextmanager
def exchange(protocol: int) -> Iterator[Callable[[int, bytes], bytes]]:
    """A function that sends a request with this message type and body, and returns the answer, one datagram.

    All requests are sent over one socket.

    Raises:
        OSError: the kernel denies access, or does not answer in time.
    """
    buffer = bytearray(_BUFFER_BYTES)
    with _connect(protocol) as kernel:

        def ask(kind: int, body: bytes) -> bytes:
            kernel.send(HEADER.pack(HEADER.size + len(body), kind, _REQUEST, 1, 0) + body)
            return _receive(kernel, buffer)

        yield ask


def messages(datagram: bytes, offset: int = 0) -> Iterator[tuple[int, int, int]]:
    """Walk the messages from ``offset`` on: type, start and end of each body; `DONE` is the last.

    Raises:
        OSError: the kernel reports an error, by name, or an incomplete dump (`InterruptedError`).
        KernelFormatError: a length does not fit, or the datagram is empty.
    """
    total = len(datagram)
    if offset >= total:
        raise KernelFormatError("netlink: an empty datagram")
    while offset < total:
        if total - offset < HEADER.size:
            raise KernelFormatError(f"netlink: {total - offset} bytes where a message should be")
        length, kind, flags, _, _ = HEADER.unpack_from(datagram, offset)
        start, end = offset + HEADER.size, offset + length
        if not start <= end <= total:
            raise KernelFormatError(f"netlink: a message of {length} bytes in {total - offset}")
        if flags & INTERRUPTED:
            raise _os_error(errno.EINTR)
        if kind in (_ERROR, DONE):
            _raise_status(datagram, start, end)
        yield kind, start, end
        if kind == DONE:
            return
        offset += length + 3 & ~3


def for_each(
    datagram: bytes, kind: int, body: struct.Struct, handle: Callable[[tuple[int, ...], int, int], None]
) -> bool:
    """Call ``handle`` with each body, and the start and end of its attributes; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: a message is of another kind than ``kind``, or too short.
    """
    for found, start, end in messages(datagram):
        if found == DONE:
            return True
        if found != kind or end - start < body.size:
            raise KernelFormatError(f"netlink: a message of kind {found} and {end - start} bytes")
        handle(body.unpack_from(datagram, start), start + body.size, end)
    return False


def attributes(datagram: bytes, offset: int, end: int, wanted: Container[int]) -> dict[int, bytes]:
    """The attributes between ``offset`` and ``end`` whose type is ``wanted``.

    Raises:
        KernelFormatError: a length does not fit.
    """
    found = {}
    unpack, header = _ATTRIBUTE.unpack_from, _ATTRIBUTE.size  # local, for speed: an interface has dozens
    while offset < end:
        if end - offset < header:
            raise KernelFormatError(f"netlink: {end - offset} bytes where an attribute should be")
        length, kind = unpack(datagram, offset)
        if not header <= length <= end - offset:
            raise KernelFormatError(f"netlink: an attribute of {length} bytes in {end - offset}")
        kind &= _ATTRIBUTE_TYPE
        if kind in wanted:
            found[kind] = datagram[offset + header : offset + length]
        offset += length + 3 & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute of a request, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def subscribe(protocol: int, groups: int, buffer_bytes: int) -> socket.socket:
    """A socket that receives what the kernel announces to multicast groups, in its own network namespace.

    net.core.rmem_max may make the buffer smaller.

    Raises:
        OSError: the kernel denies access.
    """
    announcements = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    try:
        announcements.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        announcements.bind((0, groups))
    except OSError:
        announcements.close()
        raise
    return announcements


def _connect(protocol: int) -> socket.socket:
    """A socket that receives only from the kernel."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    try:
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval())
        kernel.connect((0, 0))
    except OSError:
        kernel.close()
        raise
    return kernel


def _timeval() -> bytes:
    """The timeout; a 32-bit Python with times of 64 bits has `_TIMEOUT_OF_64_BITS` for this option."""
    return struct.pack("=qq" if socket.SO_RCVTIMEO == _TIMEOUT_OF_64_BITS else "@ll", _TIMEOUT_S, 0)


def _receive(kernel: socket.socket, buffer: bytearray) -> bytes:
    length = kernel.recv_into(buffer, 0, socket.MSG_TRUNC)
    if length > len(buffer):
        raise KernelFormatError(f"netlink: a datagram of {length} bytes, more than {len(buffer)}")
    return bytes(memoryview(buffer)[:length])


def _raise_status(datagram: bytes, start: int, end: int) -> None:
    """Raise the error of an error message or of the last message, if it has one."""
    if end - start < _STATUS.size:
        raise KernelFormatError(f"netlink: a status of {end - start} bytes")
    (status,) = _STATUS.unpack_from(datagram, start)
    if not -_MAX_ERRNO <= status <= 0:
        raise KernelFormatError(f"netlink: status {status}")
    if status:
        raise _os_error(-status)


def _os_error(number: int) -> OSError:
    return OSError(number, f"netlink: {errno.errorcode.get(number, number)}: {os.strerror(number)}")
