"""Reports on their way: each stays until every node that is to have it has it.

Laws:
- An alert (a report that is not INFO, tells that one is over, or must arrive) is on the disk before its
  first send and leaves it after its last: killed at any instant, or without power, the next `Outbox` on
  the folder goes on. It may then reach a node twice, under the same ``metrics.report_id``.
- Each node gets its reports oldest first. A node that refuses one is left alone for the rest of the pass.
- Of the other INFO only the newest is kept, and it gets a file only if it is still waiting after a pass.
- At most ``capacity`` reports wait: INFO goes first, then the oldest.
- While the folder cannot be written, reports wait in memory and are lost with the process, and what is
  done with comes back with the next one. While a file in it cannot be read, newer reports do not wait
  for it. One log line when that begins, one when it ends.
- A node that has lost the role and cannot be reached for an hour is given up; what nobody else has got by
  then goes to the nodes that hold the role now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from network_health.delivery.report_ids import ReportIds
from network_health.delivery.spool import KEPT, Damaged, Spool, Waiting

#: How long a node that does not hold the role any more may be out of reach.
GIVE_UP_AFTER_S = 3600.0

Send = Callable[[str, dict[str, Any]], bool | None]


def _tells_an_end(metrics: Mapping[str, Any]) -> bool:
    """Whether a newer report, which does not say so again, must not replace it."""
    return bool(metrics.get("recovered") or metrics.get("ended"))


class Outbox:
    """The reports of one agent that are not yet delivered. Not for use from several threads.

    No method raises because of the folder or of what is in it.

    Args:
        folder: where reports wait; only files named ``network-health-*`` are touched.
        agent: the agent's universal_id, the first part of each report's id.
        boot_id: names the time since the host booted, as `network_health.sources.boot_id` does.
        log: takes one line for each change that an operator should know of.
        capacity: how many reports may wait.
        clock: seconds that never go back.
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
        self._numbers = ReportIds(folder / "network-health-last-number", agent, boot_id)
        self._waiting: list[Waiting] = []
        self._last_order = 0
        self._loaded = False
        #: Files of reports that are done with.
        self._undeleted: set[Path] = set()
        self._in_trouble = False
        self._dropped = 0
        self._refusing: set[str] = set()
        self._gone_since_s: dict[str, float] = {}
        self._load()

    def __len__(self) -> int:
        """How many reports wait."""
        return len(self._waiting)

    def add(self, content: Mapping[str, Any], recipients: Sequence[str], *, must_arrive: bool = False) -> str:
        """Take a report in, to be sent by the next `deliver`; returns its id.

        Args:
            content: a packet's ``content``, JSON-safe, with ``severity`` and ``metrics``.
            recipients: the nodes that are to have it; empty: whoever holds the role at delivery.
            must_arrive: no newer report replaces it, although it is INFO.
        """
        self._load()
        report_id = self._numbers.next()
        if self._numbers.error:
            self._tell_trouble(self._numbers.error)
        self._last_order += 1
        is_kept = content["severity"] == "INFO" and (must_arrive or _tells_an_end(content["metrics"]))
        report = Waiting(
            order=self._last_order,
            report_id=report_id,
            severity=KEPT if is_kept else content["severity"],
            recipients=list(dict.fromkeys(recipients)) or None,
            content={**content, "metrics": {**content["metrics"], "report_id": report_id}},
        )
        if report.is_alert:
            self._shrink(self._capacity - 1)
        else:
            for older in [other for other in self._waiting if not other.is_alert]:
                self._remove(older)
        self._waiting.append(report)
        if report.is_alert:
            self._save(report)
        return report_id

    def deliver(self, send: Send, holders: Sequence[str]) -> None:
        """Try to send everything that waits.

        Args:
            send: ``send(node, content)`` says whether ``node`` has it now; ``None`` is a no that is no
                trouble. What it raises passes through; no report is lost by it.
            holders: the nodes that hold the role now; empty when that is not known.
        """
        self._load()
        refused: set[str] = set()
        for report in list(self._waiting):
            if report.recipients is None:
                report.recipients = list(dict.fromkeys(holders)) or None
            nodes = [node for node in report.recipients or () if node not in refused]
            if nodes and self._has_content(report):
                self._offer(report, nodes, send, refused)
                self._release(report)
        self._give_up_the_gone(holders)
        self._shrink(self._capacity)
        self._tidy()

    def _offer(self, report: Waiting, nodes: Sequence[str], send: Send, refused: set[str]) -> None:
        assert report.content is not None  # deliver made sure of both
        assert report.recipients is not None
        before = len(report.recipients)
        try:
            for node in nodes:
                taken = send(node, report.content)
                if taken:
                    report.recipients.remove(node)
                    report.reached = True
                    self._tell_taken(node)
                else:
                    refused.add(node)
                    if taken is not None:
                        self._tell_refused(node)
        finally:
            if not report.recipients:
                self._remove(report)
            elif len(report.recipients) < before and report.path:
                self._save(report)

    def _tell_taken(self, node: str) -> None:
        if node in self._refusing:
            self._refusing.discard(node)
            self._log(f"{node} takes reports again")

    def _tell_refused(self, node: str) -> None:
        if node not in self._refusing:
            self._refusing.add(node)
            self._log(f"{node} cannot be reached: its reports wait until it can")

    def _give_up_the_gone(self, holders: Sequence[str]) -> None:
        if not holders:
            return
        now_s = self._clock()
        gone = self._refusing.difference(holders)
        self._gone_since_s = {node: self._gone_since_s.get(node, now_s) for node in gone}
        for node, since_s in self._gone_since_s.items():
            if now_s - since_s >= GIVE_UP_AFTER_S:
                self._refusing.discard(node)
                self._give_up(node)

    def _give_up(self, node: str) -> None:
        theirs = [report for report in self._waiting if node in (report.recipients or ())]
        for report in theirs:
            assert report.recipients is not None  # node is one of them
            report.recipients.remove(node)
            if not report.recipients and report.reached:
                self._remove(report)
            elif not report.recipients:
                report.recipients = None
        self._log(
            f"{node} no longer holds the role and cannot be reached: given up. Of the {len(theirs)} reports "
            f"that waited for it, those that nobody else has go to the nodes that hold the role now"
        )

    def _shrink(self, size: int) -> None:
        """Drop what is too much, INFO first, then the oldest."""
        while len(self._waiting) > size:
            report = next((other for other in self._waiting if not other.is_alert), self._waiting[0])
            if report.is_alert and self._dropped == 0:
                self._log(f"{self._capacity} alerts wait: from {report.report_id} on, the oldest are dropped")
            self._dropped += report.is_alert
            self._remove(report)

    def _load(self) -> None:
        """Take over what an earlier process left; tried again until the folder can be listed."""
        if self._loaded:
            return
        try:
            found = self._spool.load()
        except OSError as error:
            self._tell_trouble(error)
            return
        self._loaded = True
        newest_order = max((report.order for report in found), default=0)
        for report in self._waiting:
            report.order += newest_order
        self._last_order += newest_order
        self._waiting[:0] = found
        for info in [report for report in self._waiting if not report.is_alert][:-1]:
            self._remove(info)
        self._shrink(self._capacity)

    def _has_content(self, report: Waiting) -> bool:
        if report.content is not None or report.path is None:
            return True
        try:
            report.content = self._spool.read(report.path)
        except FileNotFoundError:
            self._waiting.remove(report)
            self._log(f"The waiting report {report.report_id} was deleted by somebody else")
        except OSError as error:
            report.stale = True
            self._tell_trouble(error)
        except Damaged as error:
            self._waiting.remove(report)
            self._spool.set_aside(report.path, error)
        else:
            report.stale = False
        return report.content is not None

    def _save(self, report: Waiting) -> None:
        if not self._loaded:  # its place among earlier reports is not known yet
            report.stale = True
            return
        try:
            self._spool.save(report)
        except OSError as error:
            report.stale = True
            self._tell_trouble(error)
        else:
            report.stale = False

    @staticmethod
    def _release(report: Waiting) -> None:
        """Free the memory of a report that its file has as well."""
        if report.path and not report.stale:
            report.content = None

    def _remove(self, report: Waiting) -> None:
        self._waiting.remove(report)
        if report.path:
            self._delete(report.path)

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._undeleted.add(path)
            self._tell_trouble(error)
        else:
            self._undeleted.discard(path)

    def _tidy(self) -> None:
        """Do what the folder did not allow before; give what still waits a file."""
        for path in tuple(self._undeleted):
            self._delete(path)
        if self._numbers.error:
            self._numbers.record()
        for report in self._waiting:
            if report.content is not None and (report.path is None or report.stale):
                self._save(report)
                if report.stale:
                    break
            self._release(report)
        if self._dropped and len(self._waiting) < self._capacity:
            self._log(f"{self._dropped} alerts were dropped while the queue was full")
            self._dropped = 0
        blocked = self._undeleted or self._numbers.error or any(report.stale for report in self._waiting)
        if self._in_trouble and self._loaded and not blocked:
            self._in_trouble = False
            self._log(f"The queue folder {self._spool.folder} can be used again")

    def _tell_trouble(self, error: OSError) -> None:
        if not self._in_trouble:
            self._in_trouble = True
            self._log(
                f"The queue folder {self._spool.folder} cannot be used ({error}): "
                f"reports are sent all the same, but those that wait would not survive the agent's end"
            )
