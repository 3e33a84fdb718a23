"""Exports the metrics of each report as ``prometheus_textfile`` and ``prometheus_listen`` say.

Guarantees: no method raises, or waits longer than `_TIMEOUT_S` for an output. A problem is logged when it
changes, and the output is tried again at every check. If both settings are off, nothing listens and no text
is made. The file stays when the process ends, so that its alerts do not look resolved; a
file that the settings no longer name is removed.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from network_health.export.endpoint import Endpoint
from network_health.export.metric_families import exposition
from network_health.export.textfile import write_textfile
from network_health.reporting import Report, redacted
from network_health.settings import Settings
from network_health.sources import Answer, Isolated

#: The same as for a collector.
_TIMEOUT_S = 10.0


class Exporter:
    """The outputs to Prometheus.

    Args:
        log: takes a sentence when an output begins to work.
        warn: takes a sentence when an output has a problem.
    """

    def __init__(self, log: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._log, self._warn = log, warn
        self._report: Report | None = None
        self._text = _Text()
        self._endpoint: Endpoint | None = None
        self._written: Path | None = None
        self._last_logged: dict[str, str] = {}
        self._outputs = (
            _Output("prometheus_listen", self._serve),
            _Output("prometheus_textfile", self._write),
        )

    def publish(self, report: Report, settings: Settings) -> Report:
        """Export this report; returns it with the problems of the outputs added to ``settings_errors``."""
        self._report = report
        return self.apply(settings) or report

    def apply(self, settings: Settings) -> Report | None:
        """Export the last report again, under new settings; ``None`` if there is no report yet."""
        if self._report is None:
            return None
        report, problems = self._report, []
        for output in self._outputs:
            self._text.set(report, settings.check_interval_sec)
            done, problem = output.update(getattr(settings, output.setting))
            if problem:
                problems.append(problem)
                report = _with_errors(self._report, problems, settings)
            self._log_change(output.setting, problem or done, self._warn if problem else self._log)
        self._text.set(report, settings.check_interval_sec)
        return report

    def close(self) -> None:
        """Stop serving; the file stays."""
        self._serve(None)

    def _serve(self, address: str | None) -> str:
        if self._endpoint is not None and self._endpoint.address != address:
            self._endpoint.close()
            self._endpoint = None
        if address is None:
            return ""
        if self._endpoint is None:
            self._endpoint = Endpoint(address, self._text.rendered)
        return f"The metrics are served at http://{address}/metrics"

    def _write(self, name: str | None) -> str:
        path = None if name is None else Path(name)
        if self._written is not None and self._written != path:
            with contextlib.suppress(OSError):  # already removed, or its folder is
                self._written.unlink()
            self._written = None
        if path is None:
            return ""
        write_textfile(path, self._text.rendered())
        self._written = path
        return f"The metrics are written to {name}"

    def _log_change(self, setting: str, sentence: str, log: Callable[[str], None]) -> None:
        if sentence and sentence != self._last_logged.get(setting):
            log(sentence)
        self._last_logged[setting] = sentence


class _Output:
    """The output of one setting. ``write`` gets the setting's value and returns a sentence for the log."""

    def __init__(self, setting: str, write: Callable[[str | None], str]) -> None:
        self.setting = setting
        self._write = write
        self._isolated = Isolated[tuple[str, str]](setting, _TIMEOUT_S)
        self._is_on = False

    def update(self, value: str | None) -> tuple[str, str]:
        """Write the output; returns what was done and what the problem is, one of them empty."""
        if value is None and not self._is_on:
            return "", ""
        outcome = self._isolated.run(lambda: Answer(self._try(value), self.setting))
        self._is_on = value is not None or outcome.value is None
        if outcome.value is None:
            why = outcome.failure.reason if outcome.failure else ""
            if why.startswith(
                "TimeoutError"
            ):  # its text has a growing number of seconds: a change at each check
                why = "no answer"
            return "", f"{self.setting}: {value!r} does not work ({why})"
        return outcome.value

    def _try(self, value: str | None) -> tuple[str, str]:
        try:
            return self._write(value), ""
        except (OSError, RuntimeError) as error:
            return "", _problem(self.setting, value, error)


class _Text:
    """The last report as text. Thread-safe; rendered at most once, when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._source: tuple[Report, float] | None = None
        self._rendered = b""

    def set(self, report: Report, interval_s: float) -> None:
        """Use this report from now on."""
        with self._lock:
            if self._source is None or self._source[0] is not report or self._source[1] != interval_s:
                self._source, self._rendered = (report, interval_s), b""

    def rendered(self) -> bytes:
        """The text; empty if there is no report yet."""
        with self._lock:
            if not self._rendered and self._source is not None:
                self._rendered = exposition(*self._source)
            return self._rendered


def _problem(setting: str, value: str | None, error: OSError | RuntimeError) -> str:
    """Which value does not work, why, and what to do."""
    number = getattr(error, "errno", 0)
    remedy = _REMEDY_BY_ERRNO.get(number) or _REMEDY_BY_SETTING[setting]
    return f"{setting}: {value!r} does not work ({_reason(error)}); {remedy}"


_REMEDY_BY_ERRNO = {
    errno.EADDRINUSE: "free the port, or give another one",
    errno.EADDRNOTAVAIL: "give an address of this host",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EROFS: "give a file on a file system that can be written",
}
_REMEDY_BY_SETTING = {
    "prometheus_listen": "give an address of this host, and a port that this user may use",
    "prometheus_textfile": "give a file in a folder that exists and that this user may write to",
}


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _with_errors(report: Report, problems: Sequence[str], settings: Settings) -> Report:
    errors = [*report.metrics.get("settings_errors", ()), *problems]
    return redacted(replace(report, metrics={**report.metrics, "settings_errors": errors}), settings.redact)
