"""Reads the windows of a check: that since the check before, or a sample. Keeps what the next one needs.

Guarantees: `Sampling.since_last_check` reads only what the setting ``process_network`` allows. What it keeps
open between two checks belongs to the network namespace of the host alone.
"""

from __future__ import annotations

import contextlib
import time

from network_health.attribution.call_window import CountedWindows
from network_health.attribution.traffic_window import TrafficWindows, Window
from network_health.model import Snapshot
from network_health.settings import Settings

#: With at most this many sockets, reading their byte counters in every check takes about 6 ms.
FEW_SOCKETS = 1000
#: The length of the window that is sampled for a rate if there is no earlier listing.
SAMPLE_S = 1.0

#: The same for retransmits. They are rare: a sample of 1 s named the right peer in 7 to 9 of 10 runs.
_RESENT_SAMPLE_S = 5.0


class Sampling:
    """Reads windows in the network namespace of the calling thread."""

    def __init__(self) -> None:
        self._windows: TrafficWindows | CountedWindows | None = None

    def since_last_check(self, snapshot: Snapshot, settings: Settings) -> Window | None:
        """``None`` in the first check, and if the settings do not allow the reading.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        is_cheap = settings.process_network == "auto" and has_few_sockets(snapshot)
        if settings.process_network != "always" and not is_cheap:
            self.close()
            return None
        kind = CountedWindows if settings.bpf and settings.process_network == "always" else TrafficWindows
        if not isinstance(self._windows, kind):
            self.close()
            self._windows = kind()
            self._windows.read()
            return None
        return self._windows.read()

    def close(self) -> None:
        """Stop receiving closed sockets."""
        if self._windows is not None:
            self._windows.close()
        self._windows = None


def sample(seconds: float, *, with_calls: bool = False) -> Window:
    """A window of so many seconds from now on.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    with contextlib.closing(CountedWindows() if with_calls else TrafficWindows()) as windows:
        windows.read()
        time.sleep(seconds)
        return windows.read(is_last=True)


def resent_sample_s(settings: Settings) -> float:
    """How long a sample for retransmits takes."""
    return max(SAMPLE_S, min(_RESENT_SAMPLE_S, settings.check_interval_sec / 4))


def has_few_sockets(snapshot: Snapshot) -> bool:
    """Whether the byte counters of all sockets can be read in every check."""
    return snapshot.connections is not None and snapshot.connections.total <= FEW_SOCKETS
