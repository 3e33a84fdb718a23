"""Netlink framing and dumps, shared by the readers; see netlink(7).

Laws: a dump is taken whole or raises; every length is checked before it is trusted; a walk always
moves forward, so it ends. Byte order is the machine's, as netlink's is.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Container, Iterator
from typing import TypeVar

from network_health.sources.linux.errors import KernelFormatError

T = TypeVar("T")

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
DONE = 3  # NLMSG_DONE

_ERROR = 2  # NLMSG_ERROR
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_INTERRUPTED = 0x010  # NLM_F_DUMP_INTR
_STATUS = struct.Struct("=i")
_MAX_ERRNO = 4095
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_ATTRIBUTE_TYPE = 0x3FFF  # NLA_TYPE_MASK
_BUFFER_BYTES = 65536  # the kernel makes batches of 32 KiB at most
_ATTEMPTS = 5
_SILENCE_S = 5  # a dump is answered at once: do not wait for ever on a kernel that does not answer


def dump_request(kind: int, body: bytes) -> bytes:
    """The message that asks for a dump of ``kind``."""
    return HEADER.pack(HEADER.size + len(body), kind, _DUMP_REQUEST, 1, 0) + body


def dump(protocol: int, request: bytes, start: Callable[[], T], take: Callable[[bytes, T], bool]) -> T:
    """Send ``request`` and hand every datagram of the answer to ``take``, until that returns True.

    ``start`` makes the empty result that ``take`` fills. When the kernel says that the listing changed
    under it, everything is asked again, a few times.

    Raises:
        OSError: the kernel refused, did not answer, or was interrupted each time.
        KernelFormatError: the answer is damaged.
    """
    buffer = bytearray(_BUFFER_BYTES)
    for _ in range(_ATTEMPTS):
        result = start()
        try:
            with _connect(protocol) as kernel:
                kernel.send(request)
                while not take(_receive(kernel, buffer), result):
                    pass
            return result
        except InterruptedError as error:
            interrupted = error
    raise interrupted


def messages(datagram: bytes, offset: int = 0) -> Iterator[tuple[int, int, int]]:
    """Walk the messages from ``offset`` on: type, start and end of each body. `DONE` is the last.

    Raises:
        OSError: the message is an error, whose name is in the text, or says that the dump is not
            whole (`InterruptedError`).
        KernelFormatError: a length does not fit, or there is no message at all.
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
        if flags & _INTERRUPTED:
            raise _os_error(errno.EINTR)  # the listing changed while it was written
        if kind in (_ERROR, DONE):
            _raise_status(datagram, start, end)
        yield kind, start, end
        if kind == DONE:
            return
        offset += length + 3 & ~3


def attributes(datagram: bytes, offset: int, end: int, wanted: Container[int]) -> dict[int, bytes]:
    """The values of the ``wanted`` types among the attributes between ``offset`` and ``end``.

    Raises:
        KernelFormatError: a length does not fit.
    """
    found = {}
    unpack, header = _ATTRIBUTE.unpack_from, _ATTRIBUTE.size  # local: an interface has dozens
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


def _connect(protocol: int) -> socket.socket:
    """A socket that only the kernel can send to."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    try:
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _SILENCE_S, 0))
        kernel.connect((0, 0))
    except OSError:
        kernel.close()
        raise
    return kernel


def _receive(kernel: socket.socket, buffer: bytearray) -> bytes:
    length = kernel.recv_into(buffer, 0, socket.MSG_TRUNC)
    if length > len(buffer):
        raise KernelFormatError(f"netlink: a datagram of {length} bytes, more than {len(buffer)}")
    return bytes(memoryview(buffer)[:length])


def _raise_status(datagram: bytes, start: int, end: int) -> None:
    """Raise what an error or a last message tells, if it tells of an error."""
    if end - start < _STATUS.size:
        raise KernelFormatError(f"netlink: a status of {end - start} bytes")
    (status,) = _STATUS.unpack_from(datagram, start)
    if not -_MAX_ERRNO <= status <= 0:
        raise KernelFormatError(f"netlink: status {status}")
    if status:
        raise _os_error(-status)


def _os_error(number: int) -> OSError:
    return OSError(number, f"netlink: {errno.errorcode.get(number, number)}: {os.strerror(number)}")
