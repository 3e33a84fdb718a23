"""Logs refused packets, at a bounded rate.

Guarantees: the first packet of each sender is logged at once, later ones as a number, at most once a minute.
After `MAX_SENDERS` senders, all others are counted together. May be used by several threads.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

COUNT_EVERY_S = 60.0
MAX_SENDERS = 20
_OTHERS = "other senders"


class Refusals:
    """Args: ``warn`` takes one line; ``clock`` gives seconds that never go back."""

    def __init__(self, warn: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._warn = warn
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: set[tuple[str, str]] = set()
        self._counted: Counter[tuple[str, str]] = Counter()
        self._counted_s = clock()

    def add(self, kind: str, sender: str, reason: str) -> None:
        """Note a refused packet: ``kind`` says what was refused, ``sender`` who sent it."""
        with self._lock:
            key = kind, sender
            if key not in self._logged and len(self._logged) >= MAX_SENDERS:
                key = kind, _OTHERS
            if key in self._logged:
                self._counted[key] += 1
            else:
                self._logged.add(key)
                self._warn(f"{kind} refused: {reason}")
        self.log_counts()

    def log_counts(self) -> None:
        """Log how many more were refused, if a minute has passed; to be called every second or so."""
        with self._lock:
            seconds = self._clock() - self._counted_s
            if seconds < COUNT_EVERY_S:
                return
            self._counted_s = self._clock()
            for (kind, sender), count in self._counted.items():
                self._warn(f"{kind} refused: {count} more from {sender} in {seconds:.0f} s")
            self._counted.clear()
