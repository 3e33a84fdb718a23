"""Reads the counters of the interfaces alone, many times in a check; see `rtnetlink.dump_stats`."""

from __future__ import annotations

import time

from network_health.model import CounterReading, Counters, LinkKey
from network_health.sources.linux.rtnetlink import dump_stats, parse_counters


class CounterReader:
    """Parses only the counters that have changed since the last reading."""

    def __init__(self) -> None:
        #: By index: the counters in the kernel's format, and parsed.
        self._known: dict[int, tuple[bytes, Counters]] = {}

    def read(self) -> CounterReading:
        """The counters of all interfaces by index.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        at_s, stats, before = time.monotonic(), dump_stats(), self._known
        until_s = time.monotonic()
        now: dict[int, tuple[bytes, Counters]] = {}
        for index, raw in stats.items():
            known = before.get(index)
            now[index] = known if known and known[0] == raw else (raw, parse_counters(raw))
        self._known = now
        counters: dict[LinkKey, Counters] = {index: known[1] for index, known in now.items()}
        return CounterReading(at_s, until_s, counters)
