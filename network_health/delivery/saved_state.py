"""Saves what a monitor has reported, so that a restarted agent continues from it.

Guarantees: error counters and interface indexes of an earlier boot are never loaded. No method raises because
of the file. Call `save` after the check's report is in the outbox: an agent killed in between reports its
errors and alerts again; the other order would lose them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from network_health.alerting import AlertState, from_plain, to_plain
from network_health.collectors import ReportedCounters
from network_health.delivery.atomic_file import write_atomically
from network_health.delivery.own_file import read_own
from network_health.model import Baseline, Counters, LinkKey

_VERSION = 1
#: A host that was off for longer than this had a wrong clock.
_LONGEST_OFF_S = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class MonitorState:
    """What `Monitor` passes on: the counters at the last report, and the alerts.

    ``reported`` is ``None`` if the counters are not known: errors then count from the boot.
    """

    reported: ReportedCounters | None
    alerts: AlertState


class SavedState:
    """The file that keeps `Monitor.state` while the agent is not running.

    Args:
        path: the file; its folder must exist.
        boot_id: the result of `network_health.sources.boot_id`.
        log: takes one line for each change that an operator should know of.
    """

    def __init__(self, path: Path, boot_id: str, log: Callable[[str], None]) -> None:
        self._path = path
        self._boot_id = boot_id
        self._log = log
        self._save_failed = False

    def load(self) -> MonitorState | None:
        """The state saved last; ``None`` if there is none or the file is damaged."""
        try:
            return self._parse(json.loads(read_own(self._path), parse_constant=_refuse))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            self._log(
                f"{self._path} cannot be read ({type(error).__name__}: {error!s:.200}): "
                f"packet errors since boot and active alerts are reported again"
            )
            return None

    def save(self, state: MonitorState) -> None:
        """Replace the saved state."""
        reported = state.reported
        plain = {
            "version": _VERSION,
            "boot_id": self._boot_id,
            "at_s": time.monotonic(),
            "timestamp": time.time(),
            "counters": reported and [[key, *_highest(known)] for key, known in reported.items()],
            "alerting": to_plain(state.alerts),
        }
        try:
            write_atomically(self._path, json.dumps(plain).encode())
        except OSError as error:
            if not self._save_failed:
                self._log(
                    f"{self._path} cannot be written ({error}): "
                    f"an agent that starts again would report packet errors and alerts twice"
                )
            self._save_failed = True
        else:
            if self._save_failed:
                self._log(f"{self._path} can be written again")
            self._save_failed = False

    def _parse(self, saved: Mapping[str, Any]) -> MonitorState:
        """The content of the file.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is not what `save` writes.
        """
        if saved["version"] != _VERSION:
            raise ValueError(f"version {saved['version']!r:.20}")
        same_boot = saved["boot_id"] == self._boot_id
        now_s = time.monotonic()
        shift_s = _shift_s(float(saved["at_s"]), float(saved["timestamp"]), now_s, same_boot=same_boot)
        alerts = from_plain(saved["alerting"], lambda at_s: min(at_s + shift_s, now_s), same_boot=same_boot)
        counters = saved["counters"]
        if counters is None or not same_boot:
            return MonitorState(None, alerts)
        return MonitorState(dict(map(_reported, counters)), alerts)


def _shift_s(at_s: float, timestamp: float, now_s: float, *, same_boot: bool) -> float:
    """What to add to a saved monotonic time.

    The monotonic clock of one boot is the same in all processes. After a boot of the host, the age of the
    state is computed from the wall clock. If that is or was wrong, the age is the time since the boot.
    """
    if same_boot and at_s <= now_s:
        return 0.0
    ago_s = time.time() - timestamp
    if not 0 <= ago_s - now_s <= _LONGEST_OFF_S:
        ago_s = now_s
    return now_s - ago_s - at_s


def _highest(known: Baseline) -> Counters:
    """The counters to continue from: a value that was low for a moment only is not saved."""
    return known.counters if known.highest is None else known.highest


def _reported(row: list[Any]) -> tuple[LinkKey, Baseline]:
    """One row of the file.

    Raises:
        ValueError, TypeError: the row is not what `SavedState.save` writes.
    """
    key, *counts = row
    if type(key) not in (int, str) or any(type(n) is not int or n < 0 for n in counts):
        raise ValueError(f"not counters: {row!r:.80}")
    return key, Baseline(Counters._make(counts))


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(constant)
