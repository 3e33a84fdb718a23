"""Finds out who is behind a finding, while the evidence is still there.

Laws: nothing is looked up while all is well, but for the bytes of the TCP sockets where they are few
(``process_network``). What cannot be found out leaves its part of the answer out. No sentence of a
finding is changed, only a clause is added.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence

from network_health.attribution.lookup import CHECKS, RATES, Lookup, ReportedLosses
from network_health.attribution.tcp_window import TcpWindows, Window
from network_health.model import Attribution, Finding, Snapshot
from network_health.settings import Settings
from network_health.sources.linux import OwnerFinder, read_listeners, read_loss_kinds

#: Up to so many sockets their bytes are read in every check: about 6 ms.
FEW_SOCKETS = 1000
#: Without an earlier listing, what is moved in so long is what a rate is explained by.
SAMPLE_S = 1.0

#: Findings that the bytes of processes are told with.
_OF_TRAFFIC = RATES.keys() | {"connections"}


class Attributor:
    """Asks the kernel who it was. Reads the network namespace of the calling thread."""

    def __init__(self) -> None:
        self._owners = OwnerFinder()
        self._ledger: TcpWindows | None = None
        self._past = ReportedLosses(_kinds_so_far(), _refused_so_far())

    def examine(
        self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
    ) -> tuple[tuple[Finding, ...], Attribution] | None:
        """The findings with their culprits, and what is known of them; ``None`` if nothing was asked.

        Raises:
            OSError: the kernel refuses.
            KernelFormatError: what it answers cannot be read.
        """
        window = self._watch(snapshot, settings)
        checks = {finding.check for finding in findings if finding.breached}
        if settings.process_network != "off" and window is None and checks & RATES.keys():
            window = self._sample()
        if settings.process_network != "always" and not checks & _OF_TRAFFIC:
            window = None
        if window is None and not checks & CHECKS - RATES.keys():
            return None
        told = Lookup(self._owners, self._past, snapshot, settings, window).judge(findings)
        if not _has_few_sockets(snapshot):
            gc.collect()  # else Python keeps a large listing's tuples for later, and much memory with them
        return told

    def close(self) -> None:
        """Stop listening."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = None

    def _watch(self, snapshot: Snapshot, settings: Settings) -> Window | None:
        """The window since the check before, where there is one and the settings let it be read."""
        is_cheap = settings.process_network == "auto" and _has_few_sockets(snapshot)
        if settings.process_network != "always" and not is_cheap:
            self.close()
            return None
        if self._ledger is None:
            self._ledger = TcpWindows()
            self._ledger.window()
            return None
        return self._ledger.window()

    @staticmethod
    def _sample() -> Window:
        """A window of its own, on what is going on now."""
        ledger = TcpWindows()
        try:
            ledger.window()
            time.sleep(SAMPLE_S)
            return ledger.window(is_last=True)
        finally:
            ledger.close()


def _has_few_sockets(snapshot: Snapshot) -> bool:
    """Not where their number is unknown."""
    return snapshot.connections is not None and snapshot.connections.total <= FEW_SOCKETS


def _kinds_so_far() -> Mapping[int, Mapping[str, int]]:
    try:
        return read_loss_kinds()
    except (OSError, ValueError):  # the first breach is then told with all that was ever lost
        return {}


def _refused_so_far() -> Mapping[int, int]:
    try:
        return {s.cookie: s.drops for s in read_listeners()}
    except (OSError, ValueError):  # likewise
        return {}
