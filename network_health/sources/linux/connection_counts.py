"""Counts connections by state, from ``NETLINK_SOCK_DIAG``; see sock_diag(7) and inet_diag.h.

Guarantees: the counts are those of a dump of all sockets.
"""

# Most sockets are ESTABLISHED or TIME_WAIT. To save time the dump leaves these out; their number comes from
# the kernel's totals: inuse and tw of /proc/net/sockstat. CurrEstab of /proc/net/snmp is the cross-check.
# If the totals do not agree with each other and with the dump, all sockets are dumped.

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from network_health.model import Connections
from network_health.sources.linux import equal_messages, inet_diag, proc_net
from network_health.sources.linux.equal_messages import EqualMessages
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.inet_diag import BODY, STATES

_FAMILIES = b"\x02\x0a"  # AF_INET, AF_INET6
_FAMILY, _STATE = 0, 1  # in the body
_ATTRIBUTE = BODY + (2 if sys.byteorder == "little" else 3)  # the low byte of the first attribute's type
_SHUTDOWN = 8  # INET_DIAG_SHUTDOWN, the first attribute of every full socket

_ESTABLISHED, _FIN_WAIT2, _TIME_WAIT, _CLOSE_WAIT = 1, 5, 6, 8
_DUMPED = inet_diag.ALL & ~(1 << _ESTABLISHED | 1 << _TIME_WAIT)
_ATTEMPTS = 2

#: Sockets by state and type of the first attribute. Half-open connections, and those that only wait for a
#: timeout (in FIN_WAIT2 or TIME_WAIT), are no full sockets: they have no `_SHUTDOWN` attribute.
Sockets = Counter[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class TcpTotals:
    """The kernel's totals of the TCP sockets of a network namespace.

    ``in_use`` counts full sockets, ``time_wait`` those that only wait for a timeout, and ``opened`` all
    connections since boot. Since Linux 6.10 ``established`` includes CLOSE_WAIT; stable releases of older
    kernels have that change too.
    """

    established: int
    in_use: int
    time_wait: int
    opened: int


def read_connections() -> Connections:
    """The TCP and UDP sockets of the calling thread's network namespace by state.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    tcp = _count_with_totals()
    if tcp is None:
        tcp = _states(_dump(inet_diag.tcp_request(inet_diag.ALL)))
    counts = {STATES[state]: count for state, count in sorted(tcp.items()) if count}
    udp = sum(_dump(inet_diag.udp_request(family)).total() for family in _FAMILIES)
    return Connections(counts | {"NONE": udp} if udp else counts)


def by_state(before: TcpTotals, dumped: Sockets, after: TcpTotals) -> Mapping[int, int] | None:
    """All sockets by state, from a dump without ESTABLISHED and TIME_WAIT and the totals before and after it.

    ``None`` if the totals differ by more than the sockets opened and closed during the dump.
    """
    counts = _states(dumped)
    established = after.in_use - sum(n for (_, first), n in dumped.items() if first == _SHUTDOWN)
    time_wait = after.time_wait - counts[_FIN_WAIT2] + dumped[_FIN_WAIT2, _SHUTDOWN]
    tolerance = (
        2 * (after.opened - before.opened)
        + abs(after.in_use - before.in_use)
        + abs(after.established - before.established)
    )
    expected = after.established, after.established - counts[_CLOSE_WAIT]
    if established < 0 or time_wait < 0 or min(abs(established - e) for e in expected) > tolerance:
        return None
    counts[_ESTABLISHED], counts[_TIME_WAIT] = established, time_wait
    return counts


def parse_totals(snmp: str, sockstat: str, sockstat6: str) -> TcpTotals:
    """The totals, from the texts of these three files; without IPv6 the last one is empty.

    Raises:
        KernelFormatError: a total is missing.
    """
    lines = [line for line in snmp.splitlines() if line.startswith("Tcp:")]
    tcp = proc_net.parse_tables("\n".join(lines)).get("Tcp", {})
    sockets = proc_net.parse_sockstat(sockstat).get("TCP", {})
    sockets6 = proc_net.parse_sockstat(sockstat6).get("TCP6", {}) if sockstat6 else {"inuse": 0}
    try:
        return TcpTotals(
            established=tcp["CurrEstab"],
            in_use=sockets["inuse"] + sockets6["inuse"],
            time_wait=sockets["tw"],
            opened=tcp["ActiveOpens"] + tcp["PassiveOpens"],
        )
    except KeyError as error:
        raise KernelFormatError(f"/proc/net/snmp, sockstat: no {error}") from error


def count_sockets(datagram: bytes, sockets: Sockets) -> bool:
    """Add the sockets of one datagram of a dump to ``sockets``; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """

    def count(start: int, end: int) -> None:
        if datagram[start + _FAMILY] not in _FAMILIES:
            raise KernelFormatError(f"sock_diag: a socket of family {datagram[start + _FAMILY]}")
        first = datagram[start + _ATTRIBUTE] if end - start > _ATTRIBUTE else 0
        sockets[datagram[start + _STATE], first] += 1

    def count_equal(messages: EqualMessages) -> None:
        start, end = messages.body(0)
        families, states, first = (
            datagram[start + at : messages.end : messages.length] for at in (_FAMILY, _STATE, _ATTRIBUTE)
        )
        if families.translate(None, _FAMILIES):
            raise KernelFormatError(f"sock_diag: sockets of families {set(families)}")
        has_attribute = end - start > _ATTRIBUTE
        sockets.update(zip(states, first if has_attribute else bytes(messages.count), strict=True))

    is_last = equal_messages.for_each_socket(datagram, count, count_equal)
    unknown = [state for state, _ in sockets if state not in STATES]
    if unknown:
        raise KernelFormatError(f"sock_diag: states {unknown} in {len(datagram)} bytes")
    return is_last


def _count_with_totals() -> Mapping[int, int] | None:
    """TCP sockets by state, without a dump of the most frequent states; ``None`` if that is not exact."""
    if not _tw_is_per_namespace(os.uname().release):
        return None
    try:
        for _ in range(_ATTEMPTS):
            before = _read_totals()
            dumped = _dump(inet_diag.tcp_request(_DUMPED))
            counts = by_state(before, dumped, _read_totals())
            if counts is not None:
                return counts
    except (OSError, KernelFormatError):
        pass  # no totals here; if the dump failed, the full dump will fail too and raise
    return None


def _tw_is_per_namespace(release: str) -> bool:
    """Linux 4.11 made ``tw`` per namespace; 4.14 is the first long-term release with it."""
    version = re.match(r"(\d+)\.(\d+)", release)
    return version is not None and tuple(map(int, version.groups())) >= (4, 14)


def _read_totals() -> TcpTotals:
    return parse_totals(*map(proc_net.read_net, ("snmp", "sockstat", "sockstat6")))


def _dump(request: bytes) -> Sockets:
    return inet_diag.dump(request, Counter, count_sockets)


def _states(sockets: Sockets) -> Counter[int]:
    counts: Counter[int] = Counter()
    for (state, _), count in sockets.items():
        counts[state] += count
    return counts
