"""Connections by state from ``NETLINK_SOCK_DIAG``; see sock_diag(7) and inet_diag.h.

Laws: what the kernel has counted is not fetched. ESTABLISHED and TIME_WAIT, which may be many, are
filtered out of the dump and taken from the namespace's accounts: ``inuse`` and ``tw`` of
``/proc/net/sockstat``, with ``CurrEstab`` of ``/proc/net/snmp`` as a witness. Where the accounts do
not agree with each other and with the dump, every socket is dumped and counted instead.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from network_health.model import Connections
from network_health.sources.linux import inet_diag, netlink, proc_net
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.inet_diag import BODY, KINDS, STATES

_FAMILIES = (2, 10)  # AF_INET, AF_INET6
_NLM_F_MULTI = 2

_HEADER = netlink.HEADER.size
_FAMILY, _STATE = 0, 1  # in the body
_ATTRIBUTE = BODY + (2 if sys.byteorder == "little" else 3)  # what tells the first attribute's type
_SHUTDOWN = 8  # INET_DIAG_SHUTDOWN, the first attribute of every whole socket

_ESTABLISHED, _FIN_WAIT2, _TIME_WAIT, _CLOSE_WAIT = 1, 5, 6, 8
_FEW = inet_diag.ALL & ~(1 << _ESTABLISHED | 1 << _TIME_WAIT)
_ATTEMPTS = 2

#: Sockets by state and type of the first attribute. The kernel keeps no whole socket for a connection
#: that is half open, or only waits its time out (in FIN_WAIT2 or TIME_WAIT): `_SHUTDOWN` is missing.
Sockets = Counter[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the kernel keeps of a namespace's TCP sockets.

    ``in_use`` are the whole ones; ``time_wait`` those that only wait their time out; ``opened`` all
    that ever were. ``established`` has those in CLOSE_WAIT in it or not, which depends on the kernel:
    Linux 6.10 changed that, and kept-up older ones took it over.
    """

    established: int
    in_use: int
    time_wait: int
    opened: int


def read_connections() -> Connections:
    """TCP and UDP sockets of the calling thread's network namespace, counted by state.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    tcp = _filtered()
    if tcp is None:
        tcp = _states(_dump(inet_diag.tcp_request(inet_diag.ALL)))
    counts = {STATES[state]: count for state, count in sorted(tcp.items()) if count}
    udp = sum(_dump(inet_diag.udp_request(family)).total() for family in _FAMILIES)
    return Connections(counts | {"NONE": udp} if udp else counts)


def by_state(before: Accounts, few: Sockets, after: Accounts) -> Mapping[int, int] | None:
    """All sockets by state: of a dump without ESTABLISHED and TIME_WAIT, and the accounts around it.

    ``None`` where the accounts contradict each other by more than what was opened and closed
    meanwhile can explain.
    """
    counts = _states(few)
    established = after.in_use - sum(n for (_, first), n in few.items() if first == _SHUTDOWN)
    time_wait = after.time_wait - counts[_FIN_WAIT2] + few[_FIN_WAIT2, _SHUTDOWN]
    moved = (
        2 * (after.opened - before.opened)
        + abs(after.in_use - before.in_use)
        + abs(after.established - before.established)
    )
    witnesses = after.established, after.established - counts[_CLOSE_WAIT]
    if established < 0 or time_wait < 0 or min(abs(established - w) for w in witnesses) > moved:
        return None
    counts[_ESTABLISHED], counts[_TIME_WAIT] = established, time_wait
    return counts


def parse_accounts(snmp: str, sockstat: str, sockstat6: str) -> Accounts:
    """The accounts, of the texts of these three files; without IPv6 the last one is empty.

    Raises:
        KernelFormatError: they are not in there.
    """
    lines = [line for line in snmp.splitlines() if line.startswith("Tcp:")]  # of many others
    tcp = proc_net.parse_tables("\n".join(lines)).get("Tcp", {})
    sockets = proc_net.parse_sockstat(sockstat).get("TCP", {})
    sockets6 = proc_net.parse_sockstat(sockstat6).get("TCP6", {}) if sockstat6 else {"inuse": 0}
    try:
        return Accounts(
            established=tcp["CurrEstab"],
            in_use=sockets["inuse"] + sockets6["inuse"],
            time_wait=sockets["tw"],
            opened=tcp["ActiveOpens"] + tcp["PassiveOpens"],
        )
    except KeyError as error:
        raise KernelFormatError(f"/proc/net/snmp, sockstat: no {error}") from error


def count_sockets(datagram: bytes, sockets: Sockets) -> bool:
    """Add the sockets of one datagram of a dump to ``sockets``; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    offset = _count_even(datagram, sockets)
    done = offset < len(datagram) and _count_one_by_one(datagram, offset, sockets)
    unknown = [state for state, _ in sockets if state not in STATES]
    if unknown or not datagram:
        raise KernelFormatError(f"sock_diag: states {unknown} in {len(datagram)} bytes")
    return done


def _count_even(datagram: bytes, sockets: Sockets) -> int:
    """Count leading messages of one length by slices with that stride; returns where the rest begins.

    Nothing is counted, and 0 returned, where lengths are mixed or the first message is no socket.
    """
    if len(datagram) < _HEADER + BODY:
        return 0
    length: int
    length, kind, flags, _, _ = netlink.HEADER.unpack_from(datagram)
    if length < _HEADER + BODY or length % 4 or kind not in KINDS or flags != _NLM_F_MULTI:
        return 0
    count = len(datagram) // length
    end = count * length
    # Every header is the first one again, so the stride meets each message at its start.
    if any(datagram[at:end:length] != datagram[at : at + 1] * count for at in range(_HEADER)):
        return 0
    families = datagram[_HEADER + _FAMILY : end : length]
    if families.count(_FAMILIES[0]) + families.count(_FAMILIES[1]) != count:
        return 0
    states = datagram[_HEADER + _STATE : end : length]
    has_attribute = length > _HEADER + _ATTRIBUTE
    first = datagram[_HEADER + _ATTRIBUTE : end : length] if has_attribute else bytes(count)
    sockets.update(zip(states, first, strict=True))
    return end


def _count_one_by_one(datagram: bytes, offset: int, sockets: Sockets) -> bool:
    for kind, start, end in netlink.messages(datagram, offset):
        if kind == netlink.DONE:
            return True
        inet_diag.check(kind, start, end)
        if datagram[start + _FAMILY] not in _FAMILIES:
            raise KernelFormatError(f"sock_diag: a socket of family {datagram[start + _FAMILY]}")
        first = datagram[start + _ATTRIBUTE] if end - start > _ATTRIBUTE else 0
        sockets[datagram[start + _STATE], first] += 1
    return False


def _filtered() -> Mapping[int, int] | None:
    """TCP sockets by state without a dump of those that may be many; ``None`` where that is not exact."""
    if not _tw_is_of_one_namespace(os.uname().release):
        return None
    try:
        for _ in range(_ATTEMPTS):
            before = _read_accounts()
            few = _dump(inet_diag.tcp_request(_FEW))
            counts = by_state(before, few, _read_accounts())
            if counts is not None:
                return counts
    except (OSError, KernelFormatError):
        pass  # no such accounts here; if it is the dump that was refused, the next one is, too
    return None


def _tw_is_of_one_namespace(release: str) -> bool:
    """Since Linux 4.11 ``tw`` is a namespace's own; 4.14 is the first kept up for long."""
    version = re.match(r"(\d+)\.(\d+)", release)
    return version is not None and tuple(map(int, version.groups())) >= (4, 14)


def _read_accounts() -> Accounts:
    return parse_accounts(*map(proc_net.read_net, ("snmp", "sockstat", "sockstat6")))


def _dump(request: bytes) -> Sockets:
    return netlink.dump(inet_diag.PROTOCOL, request, Counter, count_sockets)


def _states(sockets: Sockets) -> Counter[int]:
    counts: Counter[int] = Counter()
    for (state, _), count in sockets.items():
        counts[state] += count
    return counts
