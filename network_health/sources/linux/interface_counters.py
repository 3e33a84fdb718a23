"""Reads the counters of the interfaces alone, once a second, from ``NETLINK_ROUTE``; see rtnetlink(7)."""

from __future__ import annotations

import time

from network_health.model import CounterReading, Counters, LinkKey
from network_health.sources.linux import netlink, rtnetlink


class CounterReader:
    """Parses only the counters that have changed. Use it always from the same network namespace."""

    def __init__(self) -> None:
        self._kernel = netlink.KeptSocket(rtnetlink.NETLINK_ROUTE)
        #: By index: the counters in the kernel's format, and parsed.
        self._known: dict[int, tuple[bytes, Counters]] = {}

    def read(self) -> CounterReading:
        """The counters of all interfaces by index.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        at_s, before = time.monotonic(), self._known
        stats: dict[int, bytes] = self._kernel.dump(rtnetlink.GET_STATS, dict, rtnetlink.parse_stats)
        until_s = time.monotonic()
        now: dict[int, tuple[bytes, Counters]] = {}
        for index, raw in stats.items():
            known = before.get(index)
            now[index] = known if known and known[0] == raw else (raw, rtnetlink.parse_counters(raw))
        self._known = now
        counters: dict[LinkKey, Counters] = {index: known[1] for index, known in now.items()}
        return CounterReading(at_s, until_s, counters)

    def close(self) -> None:
        """Close the socket; the next read has a new one."""
        self._kernel.close()
