"""Reads where the kernel's structures have their members, from BTF; see the kernel's btf.rst.

Guarantees: the file is untrusted: reads, loops and offsets are bounded. A structure that occurs in several
forms, a bit field or an unknown kind of type is an error, never a guess.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from network_health.sources.linux.errors import KernelFormatError

_KERNEL = Path("/sys/kernel/btf/vmlinux")
_MAX_BYTES = 64 << 20
_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")  # btf_header
_TYPE = struct.Struct("=III")  # btf_type: name_off, info, size or type
_MEMBER = struct.Struct("=III")  # btf_member: name_off, type, offset
_STRUCT, _UNION, _TYPEDEF = 4, 5, 8
#: The bytes that follow a type of each kind: a fixed number, or for each of its members.
_FOLLOWING = {1: 4, 3: 12, 14: 4, 17: 4} | dict.fromkeys((2, 7, 8, 9, 10, 11, 12, 16, 18), 0)
_FOLLOWING_EACH = {_STRUCT: 12, _UNION: 12, 6: 8, 13: 8, 15: 12, 19: 12}
#: A structure of the kernel is not larger, and its anonymous members not nested deeper.
_MAX_OFFSET = 1 << 16
_MAX_DEPTH = 8
#: The wanted structures have about 300.
_MAX_MEMBERS = 10_000


#: Kind, name and id of a type.
_Named = tuple[int, str, int]


class KernelTypes(NamedTuple):
    """The byte offsets of members, by structure, and the ids of type definitions."""

    offsets: Mapping[str, Mapping[str, int]]
    typedefs: Mapping[str, int]


def read_types(members: Mapping[str, Collection[str]], typedefs: Collection[str]) -> KernelTypes:
    """The wanted ``members`` of structures and ``typedefs`` of the running kernel.

    Raises:
        OSError: the kernel has no BTF, or denies access.
        KernelFormatError: it has an unknown format, or not all of these.
    """
    with _KERNEL.open("rb") as file:  # one buffer: the kernel gives a page at a time
        btf = file.read(min(os.fstat(file.fileno()).st_size, _MAX_BYTES))
    return parse_types(btf, members, typedefs)


def parse_types(btf: bytes, members: Mapping[str, Collection[str]], typedefs: Collection[str]) -> KernelTypes:
    """As `read_types`, from the bytes of BTF.

    Raises:
        KernelFormatError: as `read_types`.
    """
    try:
        types = _Types(btf)
        named = types.named(members, typedefs)
        offsets = types.offsets(named, members)
    except (struct.error, IndexError) as error:
        raise KernelFormatError(f"BTF is damaged: {error}") from error
    found = {name: number for kind, name, number in named if kind == _TYPEDEF}
    if missing := set(typedefs) - found.keys():
        raise KernelFormatError(f"BTF has no {min(missing)}")
    return KernelTypes(offsets, found)


class _Types:
    """The types of BTF by id. Raises `KernelFormatError`, `struct.error` and `IndexError`."""

    def __init__(self, btf: bytes) -> None:
        magic, version, _, header, types, types_bytes, texts, texts_bytes = _HEADER.unpack_from(btf)
        self._texts, self._types = header + texts, header + types
        self._texts_end, self._types_end = self._texts + texts_bytes, self._types + types_bytes
        if (magic, version) != (_MAGIC, 1) or max(self._texts_end, self._types_end) > len(btf):
            raise KernelFormatError("BTF has an unknown version, or is cut")
        self._btf = btf
        self._starts = array("I", [0])  # the type 0 is void
        self._members_left = _MAX_MEMBERS

    def offsets(
        self, named: Iterable[_Named], wanted: Mapping[str, Collection[str]]
    ) -> dict[str, dict[str, int]]:
        """The offsets of the wanted members, by structure."""
        found: dict[str, dict[str, int]] = {}
        for kind, name, number in named:
            if kind != _STRUCT:
                continue
            at = self._starts[number]
            members = {member: at for member, at in self._members(at, 0, 0) if member in wanted[name]}
            if found.setdefault(name, members) != members:
                raise KernelFormatError(f"BTF has several structures {name}")
        for name, names in wanted.items():
            if missing := set(names) - found.get(name, {}).keys():
                raise KernelFormatError(f"BTF has no {name}.{min(missing)}")
        return found

    def named(self, structures: Collection[str], typedefs: Collection[str]) -> list[_Named]:
        """The structures and type definitions with these names; notes the places of all types."""
        patterns = {
            kind: tuple(name.encode() + b"\0" for name in names)
            for kind, names in ((_STRUCT, structures), (_TYPEDEF, typedefs))
        }
        at, found, btf, unpack = self._types, [], self._btf, _TYPE.unpack_from
        while at < self._types_end:
            self._starts.append(at)
            name, info, _ = unpack(btf, at)
            kind = info >> 24 & 31
            if kind in patterns and btf.startswith(patterns[kind], self._texts + name):
                found.append((kind, self._text(name), len(self._starts) - 1))
            each = _FOLLOWING_EACH.get(kind)
            if each is None and kind not in _FOLLOWING:
                raise KernelFormatError(f"BTF has a type of the unknown kind {kind}")
            at += _TYPE.size + (each * (info & 0xFFFF) if each else _FOLLOWING[kind])
        return found

    def _members(self, at: int, base: int, depth: int) -> Iterator[tuple[str, int]]:
        """The members of the structure at ``at`` with their offsets, also those of anonymous ones in it."""
        _, info, _ = _TYPE.unpack_from(self._btf, at)
        if info >> 24 & 31 not in (_STRUCT, _UNION) or depth > _MAX_DEPTH:
            return
        self._members_left -= info & 0xFFFF
        if self._members_left < 0:
            raise KernelFormatError("BTF has structures with too many members")
        for n in range(info & 0xFFFF):
            name, kind, bits = _MEMBER.unpack_from(self._btf, at + _TYPE.size + n * _MEMBER.size)
            if info >> 31:
                if bits >> 24:  # a bit field has no address
                    continue
                bits &= 0xFFFFFF
            offset = base + bits // 8
            if bits % 8 or offset > _MAX_OFFSET:
                continue
            if name:
                yield self._text(name), offset
            else:
                yield from self._members(self._starts[kind], offset, depth + 1)

    def _text(self, offset: int) -> str:
        start = self._texts + offset
        end = self._btf.find(b"\0", start, self._texts_end)
        if end < 0:
            raise KernelFormatError("BTF has a name outside of its texts")
        return self._btf[start:end].decode("ascii", "replace")
