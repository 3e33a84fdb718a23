"""Decides what to read for the culprits of a check, and keeps the data that the next check needs.

Guarantees: without a breach, only the byte counters of TCP sockets are read, as the setting
``process_network`` allows, and the drop counters of sockets whose limit is set. The sentence of a finding
is not changed; only its clause is added.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Sequence

from network_health.attribution.lookup import CHECKS, RATES, Lookup
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.traffic_window import TrafficWindows, Window
from network_health.model import Attribution, Finding, Snapshot
from network_health.settings import Settings
from network_health.sources.linux import OwnerFinder

#: With at most this many sockets, reading their byte counters in every check takes about 6 ms.
FEW_SOCKETS = 1000
#: The length of the window that is sampled for a rate if there is no earlier listing.
SAMPLE_S = 1.0

#: Findings that are reported with the traffic of each process.
_TRAFFIC_CHECKS = RATES.keys() | {"connections"}


class Attributor:
    """Finds culprits in the network namespace of the calling thread."""

    def __init__(self) -> None:
        self._owners = OwnerFinder()
        self._windows: TrafficWindows | None = None
        self._losses = LossReadings.read()

    def attribute(
        self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
    ) -> tuple[tuple[Finding, ...], Attribution] | None:
        """The findings with their culprits, and the evidence; ``None`` if nothing had to be looked up.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        try:
            return self._attribute(findings, snapshot, settings)
        finally:
            self._losses.end_check(snapshot, settings)

    def close(self) -> None:
        """Stop receiving closed sockets."""
        if self._windows is not None:
            self._windows.close()
        self._windows = None

    def _attribute(
        self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
    ) -> tuple[tuple[Finding, ...], Attribution] | None:
        window = self._window_since_last_check(snapshot, settings)
        checks = {finding.check for finding in findings if finding.breached}
        if settings.process_network != "off" and window is None and checks & RATES.keys():
            window = self._sample()
        if settings.process_network != "always" and not checks & _TRAFFIC_CHECKS:
            window = None
        if window is None and not checks & CHECKS - RATES.keys():
            return None
        result = Lookup(self._owners, self._losses, snapshot, settings, window).attribute(findings)
        if not _has_few_sockets(snapshot):
            gc.collect()  # Python would keep the memory of a large listing for later use
        return result

    def _window_since_last_check(self, snapshot: Snapshot, settings: Settings) -> Window | None:
        """``None`` in the first check, and if the settings do not allow the reading."""
        is_cheap = settings.process_network == "auto" and _has_few_sockets(snapshot)
        if settings.process_network != "always" and not is_cheap:
            self.close()
            return None
        if self._windows is None:
            self._windows = TrafficWindows()
            self._windows.read()
            return None
        return self._windows.read()

    @staticmethod
    def _sample() -> Window:
        with contextlib.closing(TrafficWindows()) as windows:
            windows.read()
            time.sleep(SAMPLE_S)
            return windows.read(is_last=True)


def _has_few_sockets(snapshot: Snapshot) -> bool:
    return snapshot.connections is not None and snapshot.connections.total <= FEW_SOCKETS
