"""Queues reports until each of their recipients has them.

Guarantees:
- A durable report is on the disk before its first send, and until every recipient has it. A report is durable
  if it is not INFO, says that an alert is resolved, or is added as durable. An agent that was killed or lost
  power continues with it. A node may then get it twice, with the same ``metrics.report_id``.
- Each node gets its reports oldest first. After a failed send it gets no more in the same pass.
- A report that is not durable gets a file only if it still waits after a pass: one that is accepted at once
  costs no write. This file is not flushed to the disk.
- At most `MOST_ALERTS` durable reports and `MOST_INFO` others wait; of each kind the oldest is dropped.
- While the folder cannot be written, reports wait in memory and are lost when the process ends. A delivered
  report whose file cannot be removed is sent again by the next process. A file that cannot be read does not
  delay newer reports. One log line says when this begins, one when it ends.
- A node that is no longer a receiver and cannot be reached for an hour gets no more reports. Those of its
  reports that no other node has go to the current receivers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from network_health.delivery.queue_limit import QueueLimit
from network_health.delivery.reachability import Reachability
from network_health.delivery.report_ids import ReportIds
from network_health.delivery.spool import DamagedReport, QueuedReport, Spool, read_report

MOST_ALERTS = 100
#: An hour at the default interval.
MOST_INFO = 120

Send = Callable[[str, dict[str, Any]], bool | None]


class Outbox:
    """The reports of one agent that are not yet delivered. Not thread-safe.

    No method raises because of the folder or its files.

    Args:
        folder: where reports wait; only files named ``network-health-*`` are touched.
        agent: the agent's universal_id, the first part of each report's id.
        boot_id: the result of `network_health.sources.boot_id`.
        log: takes one line for each change that an operator should know of.
        most_alerts: how many durable reports may wait.
        most_info: how many others.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        agent: str,
        boot_id: str,
        log: Callable[[str], None],
        most_alerts: int = MOST_ALERTS,
        most_info: int = MOST_INFO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._limits = (QueueLimit("alerts", most_alerts, log), QueueLimit("INFO reports", most_info, log))
        self._reachability = Reachability(log, clock)
        self._spool = Spool(folder, log)
        self._ids = ReportIds(folder / "network-health-last-number", agent, boot_id, log)
        self._waiting: list[QueuedReport] = []
        self._last_order = 0
        self._loaded = False
        #: Files of finished reports that could not be removed yet.
        self._undeleted: set[Path] = set()
        self._folder_failed = False
        self._load()

    def __len__(self) -> int:
        """How many reports wait."""
        return len(self._waiting)

    @property
    def alerts(self) -> int:
        """How many durable reports wait."""
        return sum(report.durable for report in self._waiting)

    def add(self, content: Mapping[str, Any], recipients: Sequence[str], *, durable: bool = False) -> str:
        """Queue a report for the next `deliver`; returns its id.

        Args:
            content: a packet's ``content``, JSON-safe, with ``severity`` and ``metrics``.
            recipients: the nodes to send it to; if empty, the receivers at the time of delivery.
            durable: it must not be lost, although it is INFO.
        """
        self._load()
        report_id = self._ids.next()
        if self._ids.error:
            self._log_folder_error(self._ids.error)
        self._last_order += 1
        metrics = content["metrics"]
        is_resolution = bool(metrics.get("recovered") or metrics.get("ended"))
        report = QueuedReport(
            order=self._last_order,
            report_id=report_id,
            durable=durable or is_resolution or content["severity"] != "INFO",
            recipients=list(dict.fromkeys(recipients)),
            content={**content, "metrics": {**metrics, "report_id": report_id}},
        )
        self._waiting.append(report)
        self._drop_excess()
        if report.durable:
            self._save(report)
        return report_id

    def deliver(self, send: Send, receivers: Sequence[str]) -> None:
        """Try to send all waiting reports.

        Args:
            send: ``send(node, content)`` returns True if ``node`` has the report now, False if the node
                cannot be reached, None to try again in the next pass without a log line. Its exceptions
                pass through; no report is lost.
            receivers: the nodes that have the role now; empty when unknown.
        """
        self._load()
        failed: set[str] = set()
        for report in list(self._waiting):
            if not report.recipients:
                report.recipients = list(dict.fromkeys(receivers))
            nodes = [node for node in report.recipients if node not in failed]
            content = self._read_content(report) if nodes else None
            if content is not None:
                self._send_to(nodes, report, content, send, failed)
                self._free_memory(report)
        for node in self._reachability.lost(receivers):
            self._give_up(node)
        self._tidy()

    def _send_to(
        self,
        nodes: Sequence[str],
        report: QueuedReport,
        content: dict[str, Any],
        send: Send,
        failed: set[str],
    ) -> None:
        before = len(report.recipients)
        try:
            for node in nodes:
                accepted = send(node, content)
                if accepted:
                    report.recipients.remove(node)
                    report.reached = True
                else:
                    failed.add(node)
                if accepted is not None:
                    self._reachability.record(node, reachable=accepted)
        finally:
            if not report.recipients:
                self._remove(report)
            elif len(report.recipients) < before and report.path:
                self._save(report)

    def _give_up(self, node: str) -> None:
        affected = [report for report in self._waiting if node in report.recipients]
        for report in affected:
            report.recipients.remove(node)
            if not report.recipients and report.reached:
                self._remove(report)
        self._log(
            f"{node} is no longer a receiver and cannot be reached: it gets no more reports. Of the "
            f"{len(affected)} reports that waited for it, those that no other node has "
            "go to the current receivers"
        )

    def _drop_excess(self) -> None:
        for limit, durable in zip(self._limits, (True, False), strict=True):
            same_kind = [report for report in self._waiting if report.durable == durable]
            for report in limit.excess(same_kind):
                self._remove(report)

    def _load(self) -> None:
        """Load the reports of an earlier process; repeated until the folder can be listed."""
        if self._loaded:
            return
        try:
            found = self._spool.load()
        except OSError as error:
            self._log_folder_error(error)
            return
        self._loaded = True
        for report in self._waiting:
            report.order += self._spool.last_order
        self._last_order += self._spool.last_order
        self._waiting[:0] = found
        self._drop_excess()

    def _read_content(self, report: QueuedReport) -> dict[str, Any] | None:
        if report.content is None and report.path is not None:
            try:
                report.content = read_report(report.path).content
                report.stale = False
            except FileNotFoundError:
                self._waiting.remove(report)
                self._log(f"The waiting report {report.report_id} was deleted by another process")
            except OSError as error:
                report.stale = True
                self._log_folder_error(error)
            except DamagedReport as error:
                self._waiting.remove(report)
                self._spool.set_aside(report.path, error)
        return report.content

    def _save(self, report: QueuedReport) -> None:
        if not self._loaded:  # its place behind earlier reports is not known yet
            report.stale = True
            return
        try:
            self._spool.save(report)
        except OSError as error:
            report.stale = True
            self._log_folder_error(error)
        else:
            report.stale = False

    @staticmethod
    def _free_memory(report: QueuedReport) -> None:
        if report.path and not report.stale:
            report.content = None

    def _remove(self, report: QueuedReport) -> None:
        self._waiting.remove(report)
        if report.path:
            self._delete(report.path)

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._undeleted.add(path)
            self._log_folder_error(error)
        else:
            self._undeleted.discard(path)

    def _tidy(self) -> None:
        """Retry what failed on the folder, and write the reports that still wait to files."""
        for path in tuple(self._undeleted):
            self._delete(path)
        if self._ids.error:
            self._ids.save()
        for report in self._waiting:
            if report.content is not None and (report.path is None or report.stale):
                self._save(report)
                if report.stale:
                    break
            self._free_memory(report)
        self._drop_excess()  # logs that a queue which was full has room again
        blocked = self._undeleted or self._ids.error or any(report.stale for report in self._waiting)
        if self._folder_failed and self._loaded and not blocked:
            self._folder_failed = False
            self._log(f"The queue folder {self._spool.folder} can be used again")

    def _log_folder_error(self, error: OSError) -> None:
        if not self._folder_failed:
            self._folder_failed = True
            self._log(
                f"The queue folder {self._spool.folder} cannot be used ({error}): "
                f"reports are still sent, but waiting reports are lost if the agent stops"
            )
