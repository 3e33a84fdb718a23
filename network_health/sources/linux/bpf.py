"""Counts the bytes that each process sends and receives by any socket, with bpf(2); Linux 6.3 or later.

Two programs (`bpf_program`) run when a call that sends or receives ends: at the tracepoints
``sock_send_length`` and ``sock_recv_length``. They add its bytes to an entry of a map. A read that only
peeks, or that reads errors, does not count.

Guarantees: nothing is pinned, so programs and map are gone when their descriptors are closed, also after
``kill -9``. The map has at most `MAX_ENTRIES` entries; bytes that have no place in it are counted as lost,
in a map of their own, because this count must not need a place either.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from network_health.model import CallTraffic
from network_health.sources.linux import bpf_program, btf
from network_health.sources.linux.bpf_program import KEY, RECEIVE, SEND, VALUE, PidNamespace

MAX_ENTRIES = 16_384
_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280}
_MAP_CREATE, _MAP_LOOKUP, _PROGRAM_LOAD, _TRACEPOINT_OPEN, _TAKE_BATCH = 0, 1, 5, 17, 25
_HASH_MAP, _ARRAY_MAP, _TRACING, _RAW_TRACEPOINT = 1, 2, 26, 23
_ATTRIBUTES_BYTES = 144
_NAME = b"network_health"
#: The types of the tracepoints of both directions: sending and receiving.
_TRACEPOINTS = ("btf_trace_sock_send_length", "btf_trace_sock_recv_length")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_NETWORK_NAMESPACE = Path("/proc/thread-self/ns/net")
#: The inode of the pid namespace of the host; see the kernel's nsfs.h.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 132: "sctp", 136: "udplite", 262: "mptcp"}
_MAPPED = bytes(10) + b"\xff\xff"


class Calls(NamedTuple):
    """The bytes by process and peer; ``lost`` are the bytes for which the map had no place.

    ``namespace`` is the inode of the calling thread's network namespace.
    """

    traffic: tuple[CallTraffic, ...]
    lost: int
    namespace: int


class CallCounter:
    """Counts in all network namespaces, until `close`.

    Raises:
        OSError: the kernel refuses, or it has no such tracepoint or no BTF, or the processor is another one.
        KernelFormatError: its BTF has an unknown format.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._attached: list[int] = []
        _call_number()
        kernel, pids = _kernel_types(), _pid_namespace()
        self._map = self._lost_map = -1
        self._lost_before = 0
        try:
            self._map = _create_map(_HASH_MAP, KEY.size, max_entries)
            self._lost_map = _create_map(_ARRAY_MAP, len(bpf_program.LOST), 1)
            for direction in (SEND, RECEIVE):
                code = bpf_program.program(self._map, self._lost_map, direction, kernel.offsets, pids)
                self._attached.append(_load(code, kernel.typedefs[_TRACEPOINTS[direction]]))
                self._attached.append(_attach(self._attached[-1]))
        except (OSError, ValueError):
            self.close()
            raise

    def stop(self) -> None:
        """Detach the programs; what was counted can still be taken."""
        while self._attached:
            os.close(self._attached.pop())

    def take(self) -> Calls:
        """What was counted since the last call.

        Raises:
            OSError: the kernel refuses.
        """
        entries = _take_all(self._map, self._max_entries)
        lost_in_all = _lost_bytes(self._lost_map)
        lost, self._lost_before = lost_in_all - self._lost_before, lost_in_all
        return Calls(tuple(_parsed(entries)), lost, _NETWORK_NAMESPACE.stat().st_ino)

    def close(self) -> None:
        """Detach the programs and free the maps."""
        self.stop()
        for descriptor in (self._map, self._lost_map):
            if descriptor >= 0:
                os.close(descriptor)
        self._map = self._lost_map = -1


@cache
def _kernel_types() -> btf.KernelTypes:
    """Those of the running kernel; kept, because reading them takes 40 ms."""
    return btf.read_types(bpf_program.MEMBERS, _TRACEPOINTS)


def _pid_namespace() -> PidNamespace | None:
    """The pid namespace of this process, ``None`` if it is that of the host."""
    file = _PID_NAMESPACE.stat()
    return None if file.st_ino == _FIRST_PID_NAMESPACE else PidNamespace(file.st_dev, file.st_ino)


def _parsed(entries: Mapping[bytes, bytes]) -> Iterator[CallTraffic]:
    for key, value in entries.items():
        (pid, namespace, device, family, protocol, kind, port, direction, mark, uid, *more) = KEY.unpack(key)
        remote, local, started = more
        octets, calls, name = VALUE.unpack(value)
        is_packet = family == socket.AF_PACKET
        yield CallTraffic(
            pid=pid,
            name=os.fsdecode(name.partition(b"\0")[0]),
            namespace=namespace,
            protocol="packet" if is_packet else _protocol(protocol, kind),
            local=_address(family, local),
            remote=_address(family, remote),
            remote_port=int.from_bytes(port, "big"),
            device=device,
            mark=mark,
            uid=uid,
            sent=octets if direction == SEND else 0,
            received=octets if direction == RECEIVE else 0,
            calls=calls,
            started=started,
        )


def _protocol(number: int, kind: int) -> str:
    name = _PROTOCOLS.get(number, f"protocol {number}")
    return f"raw {name}" if kind == socket.SOCK_RAW else name


def _address(family: int, address: bytes) -> bytes:
    """The packed address, empty if it is not set."""
    if family == socket.AF_INET6 and address.startswith(_MAPPED):
        address = address[12:]
    elif family == socket.AF_INET:
        address = address[:4]
    return address if any(address) else b""


def _call_number() -> int:
    """The number of bpf(2) on this system; `bpf_program` is for 64-bit little-endian systems only."""
    number = _NUMBERS.get(platform.machine())
    if number is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        system = f"{8 * ctypes.sizeof(ctypes.c_void_p)}-bit Python on {platform.machine()}"
        raise OSError(errno.EOPNOTSUPP, f"bpf(2) is not supported by this agent with a {system}")
    return number


def _call(command: int, attributes: bytes) -> tuple[int, bytes]:
    """bpf(2): the result, negative with ``errno``, and the attributes after the call."""
    number, buffer = _call_number(), ctypes.create_string_buffer(attributes, _ATTRIBUTES_BYTES)
    # Not at import: a statically linked Python can load no library, and has no use for one without bpf.
    result = ctypes.CDLL(None, use_errno=True).syscall(number, command, buffer, _ATTRIBUTES_BYTES)
    return (result if result >= 0 else -ctypes.get_errno()), buffer.raw


def _checked(what: str, command: int, attributes: bytes) -> int:
    result, _ = _call(command, attributes)
    if result < 0:
        raise OSError(-result, f"bpf(2) cannot {what}: {os.strerror(-result)}")
    return result


def _create_map(kind: int, key_bytes: int, max_entries: int) -> int:
    attributes = struct.pack("=IIIIIII16s", kind, key_bytes, VALUE.size, max_entries, 0, 0, 0, _NAME)
    return _checked("create a map", _MAP_CREATE, attributes)


def _lost_bytes(entries: int) -> int:
    """The bytes that had no place since the maps were created."""
    key, value = ctypes.create_string_buffer(bpf_program.LOST), ctypes.create_string_buffer(VALUE.size)
    attributes = struct.pack("=I4xQQQ", entries, ctypes.addressof(key), ctypes.addressof(value), 0)
    _checked("read a map", _MAP_LOOKUP, attributes)
    octets: int = VALUE.unpack(value.raw)[0]
    return octets


def _load(code: bytes, tracepoint: int) -> int:
    instructions, license_text = (
        ctypes.create_string_buffer(code),
        ctypes.create_string_buffer(b"Dual MIT/GPL"),
    )
    at = ctypes.addressof(instructions), ctypes.addressof(license_text)
    attributes = struct.pack("=IIQQ24x16s", _TRACING, len(code) // 8, *at, _NAME)
    attributes += struct.pack("=4xI36xI", _RAW_TRACEPOINT, tracepoint)
    return _checked("load a program", _PROGRAM_LOAD, attributes)


def _attach(program: int) -> int:
    return _checked("attach a program to its tracepoint", _TRACEPOINT_OPEN, struct.pack("=8xI4x", program))


def _take_all(entries: int, count: int) -> dict[bytes, bytes]:
    """All entries of the map, which is empty then."""
    keys = ctypes.create_string_buffer(KEY.size * count)
    values = ctypes.create_string_buffer(VALUE.size * count)
    position = ctypes.create_string_buffer(8)
    at = [ctypes.addressof(each) for each in (position, keys, values)]
    result, attributes = _call(_TAKE_BATCH, struct.pack("=QQQQII", 0, *at, count, entries))
    if result < 0 and -result != errno.ENOENT:  # the end of the map
        raise OSError(-result, f"bpf(2) cannot read a map: {os.strerror(-result)}")
    taken = min(struct.unpack_from("=I", attributes, 32)[0], count)
    key_bytes, value_bytes = keys.raw[: taken * KEY.size], values.raw[: taken * VALUE.size]
    each_key = (key_bytes[i : i + KEY.size] for i in range(0, len(key_bytes), KEY.size))
    each_value = (value_bytes[i : i + VALUE.size] for i in range(0, len(value_bytes), VALUE.size))
    return dict(zip(each_key, each_value, strict=True))
