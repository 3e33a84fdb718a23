"""Histories of a host that does not exist, recorded as an agent records those of its own.

Each check is a `Snapshot` of made-up values; its alerts and its report come from the agent's own code. The
host is busy by day and quiet by night. At fixed times of each week it has events with alerts and culprits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from network_health import Report, Settings
from network_health.alerting import AlertState, evaluate, initial_state, step
from network_health.history import Store
from network_health.model import (
    Attribution,
    Connections,
    Cost,
    Counters,
    Failure,
    Finding,
    Interface,
    Link,
    Namespace,
    Namespaces,
    ProcessDetails,
    ProcessSample,
    Protocols,
    RankedProcess,
    Share,
    Snapshot,
)
from network_health.reporting import build_report

HOUR_S, DAY_S = 3600.0, 86400.0
#: The last check of each history, a Tuesday morning in 2024 without an event, and the range of the commands.
END = 1_732_608_000.0
RANGE = ("--since", "2023-01-01", "--until", "2025-01-01")
#: The agent's default interval.
INTERVAL_S = 30.0
#: The limits that are in force; the one of connections was lower until four days before the end.
SETTINGS = Settings.from_mapping(
    {
        "tx_threshold_mbps": 500,
        "rx_threshold_mbps": 500,
        "conn_threshold": 2000,
        "container_conn_threshold": 600,
        "retransmit_threshold_percent": 2,
        "conntrack_threshold_percent": 80,
        "listen_overflow_threshold_per_sec": 1,
        "critical_after_checks": 40,
    }
)
EARLIER_SETTINGS = replace(SETTINGS, conn_threshold=1500)
SETTINGS_CHANGED_S = 4 * DAY_S


@dataclass(frozen=True)
class Names:
    """What the parts of the host are called; the last process causes the alerts."""

    interfaces: tuple[str, ...] = ("eth0", "eth1", "docker0", "veth1f3a", "wg0")
    containers: tuple[str, ...] = ("shop", "mail", "search")
    processes: tuple[str, ...] = ("nginx", "postgres", "redis-server", "java", "sshd", "backup-agent")


_SCRIPT = "<script>document.title = 'harmed'</script>"
_IMAGE = '"><img src=x onerror="document.title=\'harmed\'">'
#: Names that a careless page runs, or that break its layout: the kernel allows most of them.
HOSTILE = Names(
    (_IMAGE, "'; alert(1) //", "\u202egnp.exe\u2066", "</script><script>x", "</textarea><b>&amp;{{7*7}}"),
    (_SCRIPT, "${alert(1)}%s%00\u2028\u2029", "`\\u003cimg\\u003e`"),
    ("<!--<script>", "x" * 10_000, "\u200f\u061c\u2067عكس", "]]>", "__proto__", _SCRIPT),
)


@dataclass(frozen=True)
class Event:
    """What happens each week, ``at_s`` after its begin, for ``lasts_s``."""

    name: str
    at_s: float
    lasts_s: float


EVENTS = (
    *(Event("backup", day * DAY_S + 2.5 * HOUR_S, 25 * 60) for day in range(7)),
    Event("crowd", 1 * DAY_S + 18 * HOUR_S, 40 * 60),
    Event("crowd", 5 * DAY_S + 11 * HOUR_S, 12 * 60),
    Event("leak", 3 * DAY_S + 9 * HOUR_S, 2 * HOUR_S),
    Event("cable", 4 * DAY_S + 14 * HOUR_S, 9 * 60),
    Event("loss", 2 * DAY_S + 21 * HOUR_S, 15 * 60),
)
#: When no agent runs, from the end of the history backwards: (begin, end).
PAUSES = ((9 * DAY_S, 9 * DAY_S - 3 * HOUR_S), (30 * HOUR_S, 30 * HOUR_S - 20 * 60))


def happens(at: float) -> frozenset[str]:
    """The names of the events at that time."""
    of_week = at % (7 * DAY_S)
    return frozenset(e.name for e in EVENTS if e.at_s <= of_week < e.at_s + e.lasts_s)


def times(length_s: float) -> Iterator[float]:
    """When the checks of a history of that length were made, but for the pauses of the agent.

    The checks of the last 48 hours, which are kept, are as far apart as the agent's. Of those before them,
    which are kept as summaries, one in five minutes or one in an hour is made.
    """
    ago_s = length_s
    while ago_s >= 0:
        if not any(first >= ago_s > last for first, last in PAUSES):
            yield END - ago_s
        ago_s -= INTERVAL_S if ago_s <= 2 * DAY_S else 300 if ago_s <= 30 * DAY_S else HOUR_S


def record(path: Path, length_s: float, host: Host | None = None) -> Path:
    """Write a history of that length, which ends at `END`."""
    host = host or Host()
    store = Store(path, 256 * 2**20)
    try:
        for at in times(length_s):
            settings = EARLIER_SETTINGS if END - at > SETTINGS_CHANGED_S else SETTINGS
            store.add(host.report(at, settings), settings)
    finally:
        store.close()
    return path


class Host:
    """A host whose checks are the same in every run."""

    def __init__(self, names: Names = Names(), more_interfaces: int = 0) -> None:
        self.names = names
        self.interfaces = (*names.interfaces, *(f"veth{number:04d}" for number in range(more_interfaces)))
        self.random = Random(14)
        self.state: AlertState | None = None

    def report(self, at: float, settings: Settings = SETTINGS, failed: Sequence[str] = ()) -> Report:
        """The report of the check at that time; ``failed`` are collectors."""
        snapshot = self.snapshot(at, failed)
        if self.state is None:
            self.state = initial_state(snapshot.interfaces or (), settings, at)
        findings = tuple(map(self.named, evaluate(snapshot, settings)))
        evidence = {finding.check: self.evidence(finding) for finding in findings if finding.breached}
        snapshot = replace(snapshot, attribution=Attribution(evidence))
        self.state, verdict = step(self.state, findings, snapshot, settings, at)
        return build_report(snapshot, verdict, settings)

    def snapshot(self, at: float, failed: Sequence[str] = ()) -> Snapshot:
        """Everything that a check reads."""
        events = happens(at)
        # 0.15 at four in the morning, 1 at four in the afternoon; a third less on two days of the week.
        day = 0.575 - 0.425 * math.cos((at % DAY_S - 4 * HOUR_S) / DAY_S * 2 * math.pi)
        load = day * (0.65 if at // DAY_S % 7 > 4 else 1) * self.random.uniform(0.85, 1.15)
        wanted = {
            "interfaces": self.links(events, load),
            "connections": self.connections(events, load),
            "top_processes": self.processes(events, load),
            "protocols": self.protocols(events, load),
            "namespaces": self.namespaces(events, load),
        }
        values = {name: None if name in failed else value for name, value in wanted.items()}
        milliseconds = 1.6 + 1.2 * load + (18 if events else 0)
        return Snapshot(
            timestamp=at,
            failures=tuple(Failure(name, "OSError: made up") for name in failed),
            cost=Cost(milliseconds, dict.fromkeys(wanted, milliseconds / 5), dict.fromkeys(wanted, "linux")),
            **values,  # type: ignore[arg-type]  # each name has its own type
        )

    def links(self, events: frozenset[str], load: float) -> tuple[Interface, ...]:
        shares = (180.0, 60.0, 25.0, 20.0, 4.0)
        links = []
        for index, name in enumerate(self.interfaces):
            sent = (shares[index] if index < len(shares) else 0.5) * load * self.random.uniform(0.8, 1.2)
            received = sent * 0.4
            if "backup" in events and index == 0:
                sent += 520 + 120 * self.random.random()
            up = not ("cable" in events and index == 1)
            lost = self.random.randrange(1, 40) if "loss" in events and index == 0 else 0
            links.append(
                Interface(
                    Link(
                        name,
                        up,
                        index + 1,
                        1000 if index < 2 else None,
                        (f"10.0.{index % 250}.5",),
                        counters=Counters(rx_drops=lost),
                        mtu=1500,
                        kind="" if index < 2 else "veth",
                        operstate="up" if up else "down",
                        carrier_changes=1,
                    ),
                    round(sent, 2) if up else 0.0,
                    round(received, 2) if up else 0.0,
                    new_rx_drops=lost,
                    new_rx_missed=lost,
                    new_tx_packets=int(sent * 3000),
                    new_rx_packets=int(received * 3000),
                    window_s=INTERVAL_S,
                    tx_peak_mbps=round(sent * 1.6, 2) if up else 0.0,
                    rx_peak_mbps=round(received * 2.1, 2) if up else 0.0,
                )
            )
        return tuple(links)

    def connections(self, events: frozenset[str], load: float) -> Connections:
        established = int(700 * load) + (1700 if "crowd" in events else 0)
        waiting = int(1900 * self.random.random()) if "leak" in events else int(6 * load)
        return Connections(
            {
                "ESTABLISHED": established,
                "TIME_WAIT": int(established * 0.4),
                "CLOSE_WAIT": waiting,
                "LISTEN": 24,
                "NONE": 18,
            }
        )

    def processes(self, events: frozenset[str], load: float) -> tuple[RankedProcess, ...]:
        *usual, loud = self.names.processes
        entries = [(name, 38.0 * load / (n + 1), 300 - 40 * n) for n, name in enumerate(usual)]
        if "backup" in events:
            entries.insert(0, (loud, 93.0, 410))
        return tuple(
            RankedProcess(
                # Restarted each week, so that one name has several pids.
                ProcessSample(100 + number, name[:15], 1.0, 10.0, megabytes * 2**20),
                round(cpu * self.random.uniform(0.8, 1.2), 1),
                ProcessDetails(name, megabytes * 1000, megabytes * 2000, "root", name),
            )
            for number, (name, cpu, megabytes) in enumerate(entries)
        )

    def protocols(self, events: frozenset[str], load: float) -> Protocols:
        return Protocols(
            out_segments_per_sec=round(20_000 * load, 2),
            retransmit_percent=round(self.random.uniform(0, 0.4) + (3 if "loss" in events else 0), 2),
            listen_overflows_per_sec=4.0 if "crowd" in events else 0.0,
            listen_drops_per_sec=4.0 if "crowd" in events else 0.0,
            udp_receive_buffer_errors_per_sec=0.0,
            softnet_dropped_per_sec=0.0,
            softnet_squeezed_per_sec=round(0.2 * load, 2),
            conntrack=Share(int(9000 * load), 65_536),
            tcp_memory=Share(int(12_000 * load), 190_000),
            window_s=INTERVAL_S,
        )

    def namespaces(self, events: frozenset[str], load: float) -> Namespaces:
        entries = [
            Namespace(
                inode=4026532000 + number,
                pid=2000 + number,
                process="app",
                container=name,
                tcp=int(120 * load / (number + 1)) + (650 if "leak" in events and number == 0 else 0),
                udp=4,
                veths=(self.interfaces[-1],),
                label=f"container {name}",
            )
            for number, name in enumerate(self.names.containers)
        ]
        return Namespaces(tuple(entries))

    def named(self, finding: Finding) -> Finding:
        """With the culprit, as the attributor adds it."""
        return replace(finding, culprit=f" (87% by {self.names.processes[-1]}[4711] in backup.service)")

    def evidence(self, finding: Finding) -> object:
        loud = {"pid": 4711, "name": self.names.processes[-1], "user": "root", "unit": "backup.service"}
        if finding.check in ("tx_rate", "rx_rate"):
            process = {**loud, "bytes": 1_950_000_000, "percent": 87.0, "peers": [_PEER]}
            entry = {"iface": finding.subject, "direction": "outbound", "bytes": 2_240_000_000}
            return [{**entry, "processes": [process], "coverage_percent": 87.0, "age_s": 0.0}]
        owners = [{**loud, "count": 1700, "percent": 87.0, "state": "ESTABLISHED"}]
        return {"total": 1950, "owners": owners, "coverage_percent": 87.0, "age_s": 0.0}


_PEER: Mapping[str, object] = {"address": "192.0.2.80", "port": 443, "bytes": 1_950_000_000}
