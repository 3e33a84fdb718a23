"""Runs the demonstration: boots a temporary swarm, breaches a limit, and shows the reports.

Guarantees: all reports shown were received by the detective of the running swarm. A step that misses its
deadline raises. Everything is removed at the end.
"""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from network_health import Monitor
from network_health.swarm.booting import Swarm
from network_health.swarm.breach import Breach
from network_health.swarm.errors import SwarmError
from network_health.swarm.inbox import Inbox
from network_health.swarm.matrix_root import require_writable
from network_health.swarm.payload import payload_root

DETECTIVE, AGENT = "forensic-1", "net-health-1"
_REPORT_S = 60.0
#: Sockets between the count at the start and the limit, and between the limit and the breach.
_MARGIN, _EXCESS = 1000, 3000
_SENTENCE = "High connection count"

Content = dict[str, Any]


def run_demo(out: TextIO) -> None:
    """Run the demonstration and write its progress to ``out``; takes less than 90 s.

    Raises:
        SwarmError: this user may not boot a swarm, and nothing is written; or a step missed its deadline, and
            everything is removed by then.
    """
    require_writable()
    started_s = time.monotonic()
    screen = _Screen(out)
    sockets = _count_sockets()
    threshold = sockets + max(_MARGIN, sockets // 10)
    swarm = Swarm(demo_directive(threshold), encryption=False, progress=screen.step)
    try:
        screen.line(f"This is a real swarm, for this demonstration only: universe {swarm.universe}.")
        screen.line("Its encryption is off so that its packets and logs can be read; keep it on in yours.\n")
        with swarm:
            screen.step(f"waiting for a report of {AGENT}")
            inbox = Inbox(swarm.comm / DETECTIVE / "incoming", lambda: swarm.log(DETECTIVE))
            _show(screen, inbox, threshold, sockets)
            screen.step(f"ending {len(swarm.processes())} processes and removing their folders")
    finally:
        screen.end_step()
        if swarm.is_gone:
            screen.line(f"\nNothing is left of it. It took {time.monotonic() - started_s:.0f} s.")


def demo_directive(conn_threshold: int) -> Content:
    """The directive ``network_health_demo`` with a limit that fits this host."""
    path = payload_root() / "directives" / "network_health_demo.py"
    directive: Content = runpy.run_path(str(path))["matrix_directive"]
    agent = next(node for node in directive["children"] if node["universal_id"] == AGENT)
    agent["config"]["conn_threshold"] = conn_threshold
    return directive


def _show(screen: _Screen, inbox: Inbox, threshold: int, sockets: int) -> None:
    first = _await_report(screen, inbox, lambda report: not _breached(report), "a first report")
    sockets = first["metrics"].get("total_connections", sockets)  # fewer or more than before the boot
    connections = (threshold - sockets + _EXCESS) // 2
    screen.line(f"\nOpening {connections} loopback connections; the limit is {threshold} sockets.\n")
    with Breach(connections):
        _await_report(screen, inbox, _breached, "a warning of the breach")
    last = _await_end(screen, inbox, time.time())
    if last["severity"] != "INFO":
        screen.line("\nThe connections are within their limit again; the other findings are about this host.")
    screen.line("")


def _breached(report: Content) -> bool:
    return _SENTENCE in report["details"]


def _await_report(screen: _Screen, inbox: Inbox, wanted: Callable[[Content], bool], what: str) -> Content:
    """Show every report that is received, until one is ``wanted``."""
    for report in _received(inbox, what):
        screen.line(describe(report))
        if wanted(report):
            break
    return report


def _await_end(screen: _Screen, inbox: Inbox, closed_s: float) -> Content:
    """Show every report until one has no breach, after the reports that were on their way at ``closed_s``."""
    is_announced = False
    for report in _received(inbox, "the return to healthy"):
        is_late = _breached(report) and report["timestamp"] < closed_s
        if not is_late and not is_announced:
            screen.line("\nThe connections are closed.\n")
            is_announced = True
        screen.line(describe(report))
        if not _breached(report):
            break
    return report


def _received(inbox: Inbox, what: str) -> Iterator[Content]:
    """The reports as they are received.

    Raises:
        SwarmError: ``what`` was not received in time.
    """
    deadline = time.monotonic() + _REPORT_S
    while time.monotonic() < deadline:
        yield from inbox.received()
        time.sleep(0.02)
    raise SwarmError(f"{what} did not reach {DETECTIVE} within {_REPORT_S:.0f} s")


def describe(report: Content) -> str:
    """A report in one line: time, severity, findings, and metrics of the host."""
    clock = time.strftime("%H:%M:%S", time.localtime(report["timestamp"]))
    metrics = report["metrics"]
    shown = []
    if "total_connections" in metrics:
        shown.append(f"sockets {metrics['total_connections']}")
    links = [link for link in metrics.get("interfaces", ()) if link["up"]]
    if links:
        busiest = max(links, key=lambda link: float(link["tx_rate_mbps"] + link["rx_rate_mbps"]))
        shown.append("{iface} out {tx_rate_mbps} in {rx_rate_mbps} Mbps".format_map(busiest))
    for process in metrics.get("top_procs", ())[:1]:
        shown.append("{name} ({pid}) {cpu_percent} % CPU".format_map(process))
    line = f"{clock}  {report['severity']:8} {report['details']}  [{', '.join(shown)}]"
    return "".join(c if c.isprintable() else "?" for c in line)  # names of processes may have control codes


def _count_sockets() -> int:
    metrics = Monitor().check().metrics
    if "total_connections" not in metrics:
        raise SwarmError(f"the connections of this host cannot be counted: {metrics.get('failures')}")
    return int(metrics["total_connections"])


class _Screen:
    """Writes lines and steps; the duration of a step is added when the next line or step is written."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._step_s: float | None = None

    def step(self, text: str) -> None:
        self.end_step()
        self._write(f"  {text} ... ")
        self._step_s = time.monotonic()

    def end_step(self) -> None:
        if self._step_s is not None:
            self._write(f"{time.monotonic() - self._step_s:.1f} s\n")
            self._step_s = None

    def line(self, text: str) -> None:
        if self._step_s is not None:
            self.end_step()
            self._write("\n")
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
