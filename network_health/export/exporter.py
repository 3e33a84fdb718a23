"""The figures of every check, where ``prometheus_textfile`` and ``prometheus_listen`` want them.

Laws: nothing here raises or waits for longer than `_LONGEST_S`. What does not work is one sentence, logged
when it changes, and is tried again at every check. Nothing listens and no client library is loaded unless a
setting asks. A file stays when the process ends, so that no alert in it seems to be over; one that
the settings no longer name is removed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from network_health.export.endpoint import Endpoint
from network_health.export.textfile import write_textfile
from network_health.reporting import Report, redacted
from network_health.settings import Settings
from network_health.sources import Answer, Isolated

#: What comes after a Python's path to give it the client library.
INSTALL_COMMAND = "-m pip install 'matrixswarm-network-health[prometheus]'"

#: As a collector has.
_LONGEST_S = 10.0

_Say = Callable[[str], None]


class Exporter:
    """Where the figures go.

    Args:
        log: gets a sentence when figures begin to be shown somewhere.
        warn: gets one when they cannot be; default: ``log``.
    """

    def __init__(self, log: _Say, warn: _Say | None = None) -> None:
        self._log, self._warn = log, warn or log
        self._report: Report | None = None
        self._text = _Text()
        self._endpoint: Endpoint | None = None
        self._written: Path | None = None
        self._said: dict[str, str] = {}
        self._ways = (_Way("prometheus_listen", self._serve), _Way("prometheus_textfile", self._write))

    def publish(self, report: Report, settings: Settings) -> Report:
        """Show this report; returns it, with whatever does not work among its ``settings_errors``."""
        self._report = report
        return self.apply(settings) or report

    def apply(self, settings: Settings) -> Report | None:
        """Show the last report where these settings want it, if there was one; returns it as `publish`."""
        if self._report is None:
            return None
        shown, troubles = self._report, []
        for way in self._ways:
            wanted: str | None = getattr(settings, way.setting)
            self._text.show(shown, settings.check_interval_sec)
            done, trouble = way.go(wanted)
            if trouble:
                troubles.append(trouble)
                shown = _with_errors(self._report, troubles, settings)
            self._tell(way.setting, trouble or done, self._warn if trouble else self._log)
        self._text.show(shown, settings.check_interval_sec)
        return shown

    def close(self) -> None:
        """Stop serving; a file stays."""
        self._serve(None)

    def _serve(self, address: str | None) -> str:
        if self._endpoint is not None and self._endpoint.address != address:
            self._endpoint.close()
            self._endpoint = None
        if address is None:
            return ""
        if self._endpoint is None:
            self._text.load()
            self._endpoint = Endpoint(address, self._text.get)
        return f"The figures are served at http://{address}/metrics"

    def _write(self, name: str | None) -> str:
        path = None if name is None else Path(name)
        if self._written is not None and self._written != path:
            with contextlib.suppress(OSError):  # whoever took it or the folder away has done it
                self._written.unlink()
            self._written = None
        if path is None:
            return ""
        self._text.load()
        write_textfile(path, self._text.get())
        self._written = path
        return f"The figures are written to {name}"

    def _tell(self, setting: str, sentence: str, say: _Say) -> None:
        """Log what is new."""
        if sentence and sentence != self._said.get(setting):
            say(sentence)
        self._said[setting] = sentence


class _Way:
    """One setting's way out: nobody waits for it, and none of its errors gets past it."""

    def __init__(self, setting: str, show: Callable[[str | None], str]) -> None:
        self.setting = setting
        self._show = show
        self._run = Isolated[tuple[str, str]](setting, _LONGEST_S)
        self._is_on = False

    def go(self, wanted: str | None) -> tuple[str, str]:
        """Show it there; what was done and what does not work, either of which is empty."""
        if wanted is None and not self._is_on:
            return "", ""
        outcome = self._run.run(lambda: Answer(self._attempt(wanted), self.setting))
        self._is_on = wanted is not None or outcome.value is None
        if outcome.value is None:
            why = outcome.failure.reason if outcome.failure else ""
            if why.startswith("TimeoutError"):  # it counts the seconds, and would be news at every check
                why = "no answer"
            return "", f"{self.setting}: {wanted!r} does not work ({why})"
        return outcome.value

    def _attempt(self, wanted: str | None) -> tuple[str, str]:
        try:
            return self._show(wanted), ""
        except (ImportError, OSError, RuntimeError) as error:
            return "", _trouble(self.setting, wanted, error)


class _Text:
    """The last report as text, made when it is first asked for, by whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._make: Callable[[Report, float], bytes] | None = None
        self._shown: tuple[Report, float] | None = None
        self._made = b""

    def load(self) -> None:
        """Have the client library.

        Raises:
            ImportError: it is not installed.
        """
        if self._make is None:
            self._make = importlib.import_module("network_health.export.metric_families").exposition

    def show(self, report: Report, interval_s: float) -> None:
        """Have the text made of this report."""
        with self._lock:
            if self._shown is None or self._shown[0] is not report or self._shown[1] != interval_s:
                self._shown, self._made = (report, interval_s), b""

    def get(self) -> bytes:
        """The text; after `load`."""
        with self._lock:
            if not self._made and self._make is not None and self._shown is not None:
                self._made = self._make(*self._shown)
            return self._made


def _trouble(setting: str, wanted: str | None, error: ImportError | OSError | RuntimeError) -> str:
    """Which value does not work, why, and what to do."""
    if isinstance(error, ImportError):
        why = f"without its library ({error})"
        do = f"run: {sys.executable} {INSTALL_COMMAND}"
    else:
        why, number = f"({_reason(error)})", getattr(error, "errno", 0)
        do = _REMEDIES.get(number) or _REMEDY[setting]
    return f"{setting}: {wanted!r} does not work {why}; {do}"


#: What to do about an error by its number, or else by the setting.
_REMEDIES = {
    errno.EADDRINUSE: "free the port, or give another one",
    errno.EADDRNOTAVAIL: "give an address of this host",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EROFS: "give a file on a file system that can be written",
}
_REMEDY = {
    "prometheus_listen": "give an address of this host, and a port that this user may use",
    "prometheus_textfile": "give a file in a folder that exists and that this user may write to",
}


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _with_errors(report: Report, troubles: Sequence[str], settings: Settings) -> Report:
    errors = [*report.metrics.get("settings_errors", ()), *troubles]
    return redacted(replace(report, metrics={**report.metrics, "settings_errors": errors}), settings.redact)
