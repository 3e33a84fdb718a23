"""The demonstration: a real swarm, a real breach, the reports as the detective takes them in.

Laws: everything shown was read from the running swarm; a step that does not happen within its deadline
raises; nothing is left behind.
"""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable
from typing import Any, TextIO

from network_health import Monitor
from network_health.swarm.booting import Swarm
from network_health.swarm.breach import Breach
from network_health.swarm.errors import SwarmError
from network_health.swarm.inbox import Inbox
from network_health.swarm.payload import payload_root

DETECTIVE, AGENT = "forensic-1", "net-health-1"
_REPORT_S = 60.0
#: Room between the sockets counted at the start and the limit, and between the limit and the breach.
_MARGIN, _EXCESS = 1000, 3000
_FINDING = "High connection count"

Content = dict[str, Any]


def run_demo(out: TextIO) -> None:
    """Boot, breach, recover and take down, telling of it on ``out``; takes well under 90 s.

    Raises:
        SwarmError: a step did not happen; everything is taken down by then.
    """
    started_s = time.monotonic()
    say = _Teller(out)
    sockets = _count_sockets()
    threshold = sockets + max(_MARGIN, sockets // 10)
    swarm = Swarm(demo_directive(threshold), encryption=False, progress=say.step)
    try:
        say.line(f"A real swarm, for this demonstration only: universe {swarm.universe}.")
        say.line("Its encryption is off so that its packets and logs can be read; keep it on in yours.\n")
        with swarm:
            say.step(f"{AGENT} looks for {DETECTIVE}")
            inbox = Inbox(swarm.comm / DETECTIVE / "incoming", lambda: swarm.log(DETECTIVE))
            _show(say, inbox, threshold, sockets)
            say.step(f"taking down {len(swarm.processes())} processes and their folders")
    finally:
        say.end_step()
        if swarm.is_gone:
            say.line(f"\nNothing is left of it. It took {time.monotonic() - started_s:.0f} s.")


def demo_directive(conn_threshold: int) -> Content:
    """The directive ``network_health_demo`` with a limit that fits this host."""
    path = payload_root() / "directives" / "network_health_demo.py"
    directive: Content = runpy.run_path(str(path))["matrix_directive"]
    agent = next(node for node in directive["children"] if node["universal_id"] == AGENT)
    agent["config"]["conn_threshold"] = conn_threshold
    return directive


def _show(say: _Teller, inbox: Inbox, threshold: int, sockets: int) -> None:
    _await(say, inbox, lambda report: not _breached(report), "a first report")
    connections = (threshold - sockets + _EXCESS) // 2
    say.line(f"\nOpening {connections} loopback connections; the limit is {threshold} sockets.\n")
    with Breach(connections):
        _await(say, inbox, _breached, "a warning of the breach")
    say.line("\nThe connections are closed.\n")
    last = _await(say, inbox, lambda report: not _breached(report), "the return to healthy")
    if last["severity"] != "INFO":
        say.line("\nThe connections are within their limit again; what is still told is this host's own.")
    say.line("")


def _breached(report: Content) -> bool:
    return _FINDING in report["details"]


def _await(say: _Teller, inbox: Inbox, wanted: Callable[[Content], bool], what: str) -> Content:
    """Show every report that arrives, until one is the wanted one."""
    deadline = time.monotonic() + _REPORT_S
    while time.monotonic() < deadline:
        for report in inbox.arrived():
            say.line(describe(report))
            if wanted(report):
                return report
        time.sleep(0.02)
    raise SwarmError(f"{what} did not reach {DETECTIVE} within {_REPORT_S:.0f} s")


def describe(report: Content) -> str:
    """A report in one line: time, severity, findings, and figures of the host."""
    clock = time.strftime("%H:%M:%S", time.localtime(report["timestamp"]))
    metrics = report["metrics"]
    figures = []
    if "total_connections" in metrics:
        figures.append(f"sockets {metrics['total_connections']}")
    links = [link for link in metrics.get("interfaces", ()) if link["up"]]
    if links:
        busiest = max(links, key=lambda link: float(link["tx_rate_mbps"] + link["rx_rate_mbps"]))
        figures.append("{iface} out {tx_rate_mbps} in {rx_rate_mbps} Mbps".format_map(busiest))
    for process in metrics.get("top_procs", ())[:1]:
        figures.append("{name} ({pid}) {cpu_percent} % CPU".format_map(process))
    line = f"{clock}  {report['severity']:8} {report['details']}  [{', '.join(figures)}]"
    return "".join(sign if sign.isprintable() else "?" for sign in line)  # a process may be called anything


def _count_sockets() -> int:
    metrics = Monitor().check().metrics
    if "total_connections" not in metrics:
        raise SwarmError(f"the connections of this host cannot be counted: {metrics.get('failures')}")
    return int(metrics["total_connections"])


class _Teller:
    """Writes lines, and steps that get the time they took when the next thing is written."""

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
