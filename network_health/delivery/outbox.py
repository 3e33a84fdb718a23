"""Queues reports until each of their recipients has them.

Guarantees:
- A durable report is on the disk before its first send, and until every recipient has it. A report is durable
  if it is not INFO, says that an alert is resolved, or is added as durable. An agent that was killed or lost
  power continues with it. A node may then get it twice, with the same ``metrics.report_id``.
- Each node gets its reports oldest first. After a failed send it gets no more in the same pass.
- Of the reports that are not durable only the newest waits. It gets a file if it still waits after a pass.
- At most ``capacity`` reports wait. INFO is dropped first, then the oldest.
- While the folder cannot be written, reports wait in memory and are lost when the process ends. A delivered
  report whose file cannot be removed is sent again by the next process. A file that cannot be read does not
  delay newer reports. One log line says when this begins, one when it ends.
- A node that is no longer a receiver and cannot be reached for an hour is given up. Its reports that no other
  node has go to the current receivers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from network_health.delivery.report_ids import ReportIds
from network_health.delivery.spool import DamagedReport, QueuedReport, Spool, read_report

#: How long a node that is no longer a receiver may be unreachable.
GIVE_UP_AFTER_S = 3600.0

Send = Callable[[str, dict[str, Any]], bool | None]


class Outbox:
    """The reports of one agent that are not yet delivered. Not thread-safe.

    No method raises because of the folder or its files.

    Args:
        folder: where reports wait; only files named ``network-health-*`` are touched.
        agent: the agent's universal_id, the first part of each report's id.
        boot_id: the result of `network_health.sources.boot_id`.
        log: takes one line for each change that an operator should know of.
        capacity: how many reports may wait.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        agent: str,
        boot_id: str,
        log: Callable[[str], None],
        capacity: int = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._clock = clock
        self._capacity = capacity
        self._spool = Spool(folder, log)
        self._ids = ReportIds(folder / "network-health-last-number", agent, boot_id)
        self._waiting: list[QueuedReport] = []
        self._last_order = 0
        self._loaded = False
        #: Files of finished reports that could not be removed yet.
        self._undeleted: set[Path] = set()
        self._folder_failed = False
        self._dropped = 0
        self._unreachable: set[str] = set()
        #: When each unreachable node was first seen to be no receiver any more.
        self._lost_since_s: dict[str, float] = {}
        self._load()

    def __len__(self) -> int:
        """How many reports wait."""
        return len(self._waiting)

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
        if report.durable:
            self._shrink(self._capacity - 1)
        else:
            for older in [other for other in self._waiting if not other.durable]:
                self._remove(older)
        self._waiting.append(report)
        if report.durable:
            self._save(report)
        return report_id

    def deliver(self, send: Send, receivers: Sequence[str]) -> None:
        """Try to send all waiting reports.

        Args:
            send: ``send(node, content)`` returns True if ``node`` has the report now, False if the node
                cannot be reached, None to try again in the next pass without a log line. Its exceptions
                pass through; no report is lost.
            receivers: the nodes that hold the role now; empty when unknown.
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
        self._give_up_lost_receivers(receivers)
        self._shrink(self._capacity)
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
                    self._log_reachability(node, reachable=accepted)
        finally:
            if not report.recipients:
                self._remove(report)
            elif len(report.recipients) < before and report.path:
                self._save(report)

    def _log_reachability(self, node: str, *, reachable: bool) -> None:
        if reachable and node in self._unreachable:
            self._unreachable.remove(node)
            self._log(f"{node} takes reports again")
        elif not reachable and node not in self._unreachable:
            self._unreachable.add(node)
            self._log(f"{node} cannot be reached: its reports wait until it can")

    def _give_up_lost_receivers(self, receivers: Sequence[str]) -> None:
        if not receivers:
            return
        now_s = self._clock()
        lost = self._unreachable.difference(receivers)
        self._lost_since_s = {node: self._lost_since_s.get(node, now_s) for node in lost}
        for node, since_s in self._lost_since_s.items():
            if now_s - since_s >= GIVE_UP_AFTER_S:
                self._unreachable.remove(node)
                self._give_up(node)

    def _give_up(self, node: str) -> None:
        affected = [report for report in self._waiting if node in report.recipients]
        for report in affected:
            report.recipients.remove(node)
            if not report.recipients and report.reached:
                self._remove(report)
        self._log(
            f"{node} is no longer a receiver and cannot be reached: given up. Of the {len(affected)} reports "
            f"that waited for it, those that no other node has go to the current receivers"
        )

    def _shrink(self, size: int) -> None:
        """Drop reports until at most ``size`` wait."""
        while len(self._waiting) > size:
            report = next((other for other in self._waiting if not other.durable), self._waiting[0])
            if report.durable and self._dropped == 0:
                self._log(f"{self._capacity} alerts wait: from {report.report_id} on, the oldest are dropped")
            self._dropped += report.durable
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
        newest_order = max((report.order for report in found), default=0)
        for report in self._waiting:
            report.order += newest_order
        self._last_order += newest_order
        self._waiting[:0] = found
        for older in [report for report in self._waiting if not report.durable][:-1]:
            self._remove(older)
        self._shrink(self._capacity)

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
        if self._dropped and len(self._waiting) < self._capacity:
            self._log(f"{self._dropped} alerts were dropped while the queue was full")
            self._dropped = 0
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
