"""Parses which interfaces carry the packets of another one; see if_link.h and if_tunnel.h.

Guarantees: an index is of an interface in the same network namespace. An unset index or address is unknown.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError

#: Attributes of a link.
LOWER, MASTER, LOWER_NAMESPACE = 5, 10, 37  # IFLA_LINK, IFLA_MASTER, IFLA_LINK_NETNSID
_ADDRESS_BYTES = (4, 16)

#: Kinds whose IFLA_LINK is the other end of the pair.
_PAIRS = {"veth", "netkit", "vxcan"}
#: Attributes in IFLA_INFO_DATA of tunnels: local addresses, remote addresses, link.
_IP_TUNNEL, _GRE, _VTI = ((2,), (3,), 1), ((6,), (7,), 1), ((4,), (5,), 1)
_TUNNELS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    **dict.fromkeys(("ipip", "sit", "ip6tnl"), _IP_TUNNEL),
    **dict.fromkeys(("gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan"), _GRE),
    **dict.fromkeys(("vti", "vti6"), _VTI),
    "vxlan": ((4, 17), (2, 16), 3),
    "geneve": ((), (2, 7), 0),
}
_BOND_MODE, _BOND_ACTIVE = 1, 2  # IFLA_BOND_MODE, IFLA_BOND_ACTIVE_SLAVE
_ACTIVE_BACKUP = b"\x01"
_MACVLAN_MODE, _MACVLAN_BRIDGE = 1, 4
_IPVLAN_FLAGS, _IPVLAN_ISOLATED = 2, 1 | 2  # private, VEPA


class LinkStack(NamedTuple):
    """The fields of `network_health.model.Link` with the same names."""

    master: int | None = None
    lower: int | None = None
    delivers_to_siblings: bool = False
    active_port: int | None = None
    tunnel: tuple[bytes, bytes] | None = None
    peer_namespace: int | None = None
    peer_index: int | None = None
    lower_elsewhere: tuple[int, int] | None = None


def parse_stack(kind: str, link: Mapping[int, bytes], data: bytes) -> LinkStack:
    """Parse the attributes ``link`` of an interface, and its IFLA_INFO_DATA.

    Raises:
        KernelFormatError: a length does not fit.
    """
    master = _index(link.get(MASTER))
    is_here = LOWER_NAMESPACE not in link and kind not in _PAIRS
    lower = _index(link.get(LOWER)) if is_here else None
    if kind in _PAIRS:
        peer_namespace = _namespace_id(link.get(LOWER_NAMESPACE))
        peer_index = None if peer_namespace is None else _index(link.get(LOWER))
        return LinkStack(master, peer_namespace=peer_namespace, peer_index=peer_index)
    if kind in _TUNNELS:
        locals_, remotes, link_at = _TUNNELS[kind]
        found = netlink.attributes(data, 0, len(data), {*locals_, *remotes, link_at})
        if is_here and link_at:
            lower = lower or _index(found.get(link_at))
        tunnel = _address(found, locals_), _address(found, remotes)
        # The addresses of a tunnel that was moved here belong to the namespace that it came from.
        return LinkStack(master, lower, tunnel=tunnel if LOWER_NAMESPACE not in link else None)
    if kind == "bond":
        found = netlink.attributes(data, 0, len(data), {_BOND_MODE, _BOND_ACTIVE})
        # Other modes have an active port, too, but send with all of them.
        is_exclusive = found.get(_BOND_MODE) == _ACTIVE_BACKUP
        return LinkStack(master, lower, active_port=_index(found.get(_BOND_ACTIVE)) if is_exclusive else None)
    elsewhere = _namespace_id(link.get(LOWER_NAMESPACE)), _index(link.get(LOWER))
    return LinkStack(
        master,
        lower,
        _delivers_to_siblings(kind, data),
        lower_elsewhere=None
        if elsewhere[0] is None or elsewhere[1] is None
        else (elsewhere[0], elsewhere[1]),
    )


def _delivers_to_siblings(kind: str, data: bytes) -> bool:
    if kind in ("macvlan", "macvtap"):
        mode = netlink.attributes(data, 0, len(data), {_MACVLAN_MODE}).get(_MACVLAN_MODE, b"")
        return int.from_bytes(mode, sys.byteorder) == _MACVLAN_BRIDGE
    if kind in ("ipvlan", "ipvtap"):
        flags = netlink.attributes(data, 0, len(data), {_IPVLAN_FLAGS}).get(_IPVLAN_FLAGS, b"")
        return not int.from_bytes(flags, sys.byteorder) & _IPVLAN_ISOLATED
    return False


def _index(value: bytes | None) -> int | None:
    if value is None:
        return None
    if len(value) != 4:
        raise KernelFormatError(f"rtnetlink: an interface index of {len(value)} bytes")
    return int.from_bytes(value, sys.byteorder) or None


def _namespace_id(value: bytes | None) -> int | None:
    """The id of another network namespace; ``None`` if it has none."""
    if value is None:
        return None
    if len(value) != 4:
        raise KernelFormatError(f"rtnetlink: a namespace id of {len(value)} bytes")
    number = int.from_bytes(value, sys.byteorder, signed=True)
    return number if number >= 0 else None


def _address(found: Mapping[int, bytes], kinds: tuple[int, ...]) -> bytes:
    """The first address that is set; empty if none is."""
    for kind in kinds:
        address = found.get(kind, b"")
        if any(address):
            if len(address) not in _ADDRESS_BYTES:
                raise KernelFormatError(f"rtnetlink: an address of {len(address)} bytes")
            return address
    return b""
