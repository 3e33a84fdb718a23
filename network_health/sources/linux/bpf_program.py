"""Assembles the two programs that count the bytes of calls on sockets; `bpf` loads them. Pure.

Guarantees: a program only reads the members of structures that are named here, and writes to its two maps
alone. Before it loads a program, the kernel verifies that, and the members' offsets. The listing of
`program`, in the notation of the kernel's verifier::

    r6 = ctx->sk; r7 = (s64)(s32)ctx->length             // the arguments of the tracepoint
    if r7 <= 0 goto out
    if ctx->flags & (MSG_PEEK | MSG_ERRQUEUE) goto out   // only sock_recv_length
    r9 = r6->skc_family
    key = 0
    if r9 == AF_PACKET goto rest; if r9 == AF_INET goto ip4; if r9 != AF_INET6 goto out
    key.remote, key.local = r6->skc_v6_daddr, r6->skc_v6_rcv_saddr; goto port
    ip4:  key.remote, key.local = r6->skc_daddr, r6->skc_rcv_saddr
    port: key.port = r6->skc_dport
    rest: key.family = r9; key.direction = direction
    key.device, key.protocol, key.type = r6->skc_bound_dev_if, r6->sk_protocol, r6->sk_type
    key.mark, key.uid = r6->sk_mark, r6->sk_uid
    key.namespace = r6->skc_net->ns.inum
    key.pid = get_current_pid_tgid() >> 32   // or get_ns_current_pid_tgid(...).tgid, 0 if it is not visible
    key.started = get_current_task_btf()->group_leader->start_boottime / 10 ms
    r0 = map_lookup(map, &key)
    if r0 goto add
    value = 0; get_current_comm(value.name, 16)
    map_update(map, &key, &value, BPF_NOEXIST)           // another CPU may have been faster
    r0 = map_lookup(map, &key)
    if r0 goto add
    key = 0                                              // the map is full: count it as lost
    r0 = map_lookup(lost, &key)
    if r0 == 0 goto out
    add:  lock r0->bytes += r7; lock r0->calls += 1
    out:  return 0
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

#: The members of structures that a program needs the offsets of.
MEMBERS = {
    "sock_common": (
        *("skc_family", "skc_dport", "skc_daddr", "skc_rcv_saddr", "skc_v6_daddr", "skc_v6_rcv_saddr"),
        *("skc_bound_dev_if", "skc_net"),
    ),
    "sock": ("sk_type", "sk_protocol", "sk_mark", "sk_uid"),
    "net": ("ns",),
    "ns_common": ("inum",),
    "task_struct": ("group_leader", "start_boottime"),
}
SEND, RECEIVE = 0, 1
#: pid, network namespace, device, family, protocol, type, remote port, direction, mark, uid, remote and local
#: address, start of the process.
KEY = struct.Struct("=IIIHHH2sIII16s16sI")
#: The key of the only entry of the map of what is lost.
LOST = bytes(4)
#: Bytes, calls, name.
VALUE = struct.Struct("=QQ16s")

_PID, _NAMESPACE, _DEVICE, _FAMILY, _PROTOCOL, _TYPE, _PORT = 0, 4, 8, 12, 14, 16, 18
_DIRECTION, _MARK, _UID, _REMOTE, _LOCAL, _STARTED = 20, 24, 28, 32, 48, 64
#: Places on the stack, below r10: the key, the value, the pids in a namespace.
_AT_KEY, _AT_VALUE, _AT_PIDS = -72, -104, -112
_NOT_RECEIVED = 0x2002  # MSG_PEEK | MSG_ERRQUEUE
_MAP_LOOKUP, _MAP_UPDATE, _PID_TGID, _COMM, _PID_IN_NAMESPACE, _TASK = 1, 2, 14, 16, 120, 158
#: The unit of the start of a process in ``/proc/<pid>/stat``, in ns.
_TICK_NS = 10_000_000
_ONLY_NEW = 1  # BPF_NOEXIST
_LOAD = {2: 0x69, 4: 0x61, 8: 0x79}
_STORE = {2: 0x6B, 4: 0x63, 8: 0x7B}
_MOVE, _SET, _SET_32, _ADD, _AND, _STORE_VALUE, _ADD_LOCKED = 0xBF, 0xB7, 0xB4, 0x07, 0x57, 0x7A, 0xDB
_SHIFT_LEFT, _SHIFT_RIGHT, _SHIFT_SIGNED, _CALL, _RETURN, _LOAD_MAP = 0x67, 0x77, 0xC7, 0x85, 0x95, 0x18
_DIVIDE = 0x37
_GOTO, _IF_EQUAL, _IF_DIFFERENT, _IF_NOT_POSITIVE = 0x05, 0x15, 0x55, 0xD5


class PidNamespace(NamedTuple):
    """A pid namespace: device and inode of its file."""

    device: int
    inode: int


class _Assembler:
    """Instructions; see the kernel's instruction-set.rst. ``jump`` goes to a ``label`` further on."""

    def __init__(self) -> None:
        self._code: list[bytes] = []
        self._jumps: list[tuple[int, str]] = []
        self._labels: dict[str, int] = {}

    def add(self, code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> None:
        """One instruction."""
        self._code.append(struct.pack("=BBhI", code, to | source << 4, offset, value & 0xFFFFFFFF))

    def store(self, size: int, offset: int, source: int) -> None:
        """Store a register on the stack."""
        self.add(_STORE[size], 10, source, offset)

    def clear(self, start: int, count: int) -> None:
        """Set ``count`` bytes of the stack to 0."""
        for offset in range(start, start + count, 8):
            self.add(_STORE_VALUE, 10, 0, offset)

    def take(self, size: int, source: int, offset: int, to: int) -> None:
        """Copy a member of the structure at ``source`` to the key, at most eight bytes at a time."""
        for at in range(0, size, 8):
            self.add(_LOAD[min(size, 8)], 1, source, offset + at)
            self.store(min(size, 8), _AT_KEY + to + at, 1)

    def place(self, to: int, offset: int) -> None:
        """Set a register to an address on the stack."""
        self.add(_MOVE, to, 10)
        self.add(_ADD, to, value=offset)

    def look_up(self, entries: int) -> None:
        """Set r0 to the address of the key's value in a map, or to 0."""
        self._arguments(entries)
        self.add(_CALL, value=_MAP_LOOKUP)

    def insert(self, entries: int) -> None:
        """Add the key with the value on the stack, if the map does not have it."""
        self._arguments(entries)
        self.place(3, _AT_VALUE)
        self.add(_SET, 4, value=_ONLY_NEW)
        self.add(_CALL, value=_MAP_UPDATE)

    def _arguments(self, entries: int) -> None:
        self.add(_LOAD_MAP, 1, 1, value=entries)
        self.add(0)
        self.place(2, _AT_KEY)

    def jump(self, code: int, register: int, value: int, label: str) -> None:
        """Jump if the register compares so with the value."""
        self._jumps.append((len(self._code), label))
        self.add(code, register, value=value)

    def label(self, name: str) -> None:
        """The next instruction."""
        self._labels[name] = len(self._code)

    def program(self) -> bytes:
        """All instructions."""
        for at, label in self._jumps:
            code, registers, _, value = struct.unpack("=BBhI", self._code[at])
            self._code[at] = struct.pack("=BBhI", code, registers, self._labels[label] - at - 1, value)
        return b"".join(self._code)


def program(
    entries: int,
    lost: int,
    direction: int,
    offsets: Mapping[str, Mapping[str, int]],
    pids: PidNamespace | None,
) -> bytes:
    """The program of one direction for two maps, given as descriptors: that of all entries, and `LOST`'s.

    ``pids`` is the namespace whose pids are counted, ``None`` for that of the host.
    """
    code = _Assembler()
    common, sock = offsets["sock_common"], offsets["sock"]
    _check_call(code, direction)
    _take_addresses(code, common)
    code.store(2, _AT_KEY + _FAMILY, 9)
    code.add(_SET, 1, value=direction)
    code.store(4, _AT_KEY + _DIRECTION, 1)
    code.take(4, 6, common["skc_bound_dev_if"], _DEVICE)
    code.take(2, 6, sock["sk_protocol"], _PROTOCOL)
    code.take(2, 6, sock["sk_type"], _TYPE)
    code.take(4, 6, sock["sk_mark"], _MARK)
    code.take(4, 6, sock["sk_uid"], _UID)
    code.add(_LOAD[8], 8, 6, common["skc_net"])
    code.take(4, 8, offsets["net"]["ns"] + offsets["ns_common"]["inum"], _NAMESPACE)
    _take_pid(code, pids)
    _take_start(code, offsets["task_struct"])
    _count(code, entries, lost)
    return code.program()


def _check_call(code: _Assembler, direction: int) -> None:
    """r6 = the socket, r7 = the length."""
    code.add(_LOAD[8], 6, 1, 0)
    code.add(_LOAD[8], 7, 1, 8)
    code.add(_SHIFT_LEFT, 7, value=32)
    code.add(_SHIFT_SIGNED, 7, value=32)
    code.jump(_IF_NOT_POSITIVE, 7, 0, "out")
    if direction == RECEIVE:
        code.add(_LOAD[8], 8, 1, 16)
        code.add(_AND, 8, value=_NOT_RECEIVED)
        code.jump(_IF_DIFFERENT, 8, 0, "out")


def _take_addresses(code: _Assembler, offsets: Mapping[str, int]) -> None:
    """r9 = the family."""
    code.add(_LOAD[2], 9, 6, offsets["skc_family"])
    code.clear(_AT_KEY, KEY.size)
    code.jump(_IF_EQUAL, 9, socket.AF_PACKET, "rest")
    code.jump(_IF_EQUAL, 9, socket.AF_INET, "ip4")
    code.jump(_IF_DIFFERENT, 9, socket.AF_INET6, "out")
    code.take(16, 6, offsets["skc_v6_daddr"], _REMOTE)
    code.take(16, 6, offsets["skc_v6_rcv_saddr"], _LOCAL)
    code.jump(_GOTO, 0, 0, "port")
    code.label("ip4")
    code.take(4, 6, offsets["skc_daddr"], _REMOTE)
    code.take(4, 6, offsets["skc_rcv_saddr"], _LOCAL)
    code.label("port")
    code.take(2, 6, offsets["skc_dport"], _PORT)
    code.label("rest")


def _take_pid(code: _Assembler, pids: PidNamespace | None) -> None:
    if pids is None:
        code.add(_CALL, value=_PID_TGID)
        code.add(_SHIFT_RIGHT, 0, value=32)
    else:
        code.add(_SET_32, 1, value=pids.device)
        code.add(_SET_32, 2, value=pids.inode)
        code.place(3, _AT_PIDS)
        code.add(_SET, 4, value=8)
        code.add(_CALL, value=_PID_IN_NAMESPACE)
        code.add(_LOAD[4], 0, 10, _AT_PIDS + 4)
    code.store(4, _AT_KEY + _PID, 0)


def _take_start(code: _Assembler, offsets: Mapping[str, int]) -> None:
    code.add(_CALL, value=_TASK)
    code.add(_LOAD[8], 1, 0, offsets["group_leader"])
    code.add(_LOAD[8], 1, 1, offsets["start_boottime"])
    code.add(_DIVIDE, 1, value=_TICK_NS)
    code.store(4, _AT_KEY + _STARTED, 1)


def _count(code: _Assembler, entries: int, lost: int) -> None:
    code.look_up(entries)
    code.jump(_IF_DIFFERENT, 0, 0, "add")
    code.clear(_AT_VALUE, VALUE.size)
    code.place(1, _AT_VALUE + 16)
    code.add(_SET, 2, value=16)
    code.add(_CALL, value=_COMM)
    code.insert(entries)
    code.look_up(entries)
    code.jump(_IF_DIFFERENT, 0, 0, "add")
    code.clear(_AT_KEY, KEY.size)
    code.look_up(lost)
    code.jump(_IF_EQUAL, 0, 0, "out")
    code.label("add")
    code.add(_ADD_LOCKED, 0, 7, 0)
    code.add(_SET, 1, value=1)
    code.add(_ADD_LOCKED, 0, 1, 8)
    code.label("out")
    code.add(_SET, 0, value=0)
    code.add(_RETURN)
