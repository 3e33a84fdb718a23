"""Converts the active alerts of a report to Prometheus' metrics. Pure.

Guarantees: base units; the label ``unit`` names that of a value and its limit. At most `MAX_ALERTS` alerts
have samples. A port is exported only if the sentence of the alert names it, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from network_health.alerting import Alert
from network_health.export.text_format import family, labels, single
from network_health.model import Finding
from network_health.reporting import Report, safe_text

#: With more alerts, the CRITICAL ones come first, then the oldest.
MAX_ALERTS = 200

#: What the value of an alert is multiplied with, and the unit that it then has, by check.
_RATE, _RATIO, _EVENTS = (125_000.0, "bytes_per_second"), (0.01, "ratio"), (1, "per_second")
_SOCKETS, _PACKETS = (1, "sockets"), (1, "packets")
_UNITS = {
    **dict.fromkeys(("tx_rate", "rx_rate"), _RATE),
    **dict.fromkeys(("retransmits", "peer_retransmits"), _RATIO),
    **dict.fromkeys(("conntrack", "orphans", "tcp_memory", "ephemeral_ports"), _RATIO),
    **dict.fromkeys(("connections", "namespace_connections"), _SOCKETS),
    **dict.fromkeys(("listen_overflows", "listen_drops", "syn_cookies", "syn_queue_drops"), _EVENTS),
    **dict.fromkeys(("udp_receive", "udp_send", "softnet_dropped", "softnet_squeezed"), _EVENTS),
}

#: The parts of the evidence that can have the port that a sentence names: list or nothing, key, side.
_PORTS = (
    ("", "remote_port", "remote"),
    ("ports", "port", "local"),
    ("listeners", "port", "local"),
    ("sockets", "port", "local"),
    ("sockets", "remote_port", "remote"),
    ("endpoints", "port", "remote"),
    ("peers", "half_open_port", "local"),
    ("peers", "port", "remote"),
)


def alert_families(report: Report) -> Iterator[str]:
    """State, value, limit, start and the culprit's port of each alert."""
    ordered = sorted(report.alerts, key=lambda alert: (alert.severity != "CRITICAL", alert.since_s))
    # Masked subjects may be equal, and node_exporter rejects a file with two equal samples.
    by_labels: dict[str, Alert] = {}
    for alert in ordered:
        by_labels.setdefault(_labels(alert.finding), alert)
    exported = list(by_labels.values())[:MAX_ALERTS]
    yield family("alert", "1 for each active alert.", [(_state(alert), 1) for alert in exported])
    measured = [(_labels(alert.finding, unit=unit(alert.finding)), alert) for alert in exported]
    values = [
        (where, in_base_unit(alert.finding, alert.finding.value))
        for where, alert in measured
        if alert.state != "unknown"
    ]
    limits = [(where, in_base_unit(alert.finding, alert.finding.limit)) for where, alert in measured]
    yield family("alert_value", "Value of each active alert, in the unit of its label.", values)
    yield family("alert_limit", "Limit of each active alert, in the unit of its label.", limits)
    yield family(
        "alert_start_timestamp_seconds",
        "Time of the first breach of each active alert.",
        [(_labels(alert.finding), alert.since) for alert in exported],
    )
    named = [(alert.finding, culprit_port(alert.finding, report.culprits)) for alert in exported]
    yield family(
        "alert_culprit_port",
        "Port that the alert names as its culprit: of this host (local), or of the remote host.",
        [(_labels(finding, side=found[0]), found[1]) for finding, found in named if found],
    )
    yield single(
        "alerts_left_out",
        f"Active alerts that are not exported because there are more than {MAX_ALERTS}.",
        len(report.alerts) - len(exported),
    )


def unit(finding: Finding) -> str:
    """The base unit of an alert's value: ``bytes_per_second``, ``ratio``, ``sockets``, …"""
    return _unit(finding)[1]


def in_base_unit(finding: Finding, value: float) -> float:
    """A value or a limit of an alert in its `unit`."""
    factor = _unit(finding)[0]
    return value if factor == 1 else round(value * factor, 6)


def culprit_port(finding: Finding, culprits: Mapping[str, Any]) -> tuple[str, int] | None:
    """Side (``local``, ``remote``) and number of the port that the sentence of an alert names, if any."""
    for entry in _evidence(finding, culprits):
        for listed, key, side in _PORTS:
            first = (entry.get(listed) or [{}])[0] if listed else entry
            port = first.get(key)
            before = r"\bon " if side == "local" else r"\S"
            if port and re.search(rf"{before}:{port}\b", finding.sentence):
                return side, port
    return None


def _evidence(finding: Finding, culprits: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The evidence about one alert; for a rate, that of the process with most bytes."""
    found = culprits.get(finding.check, {})
    if isinstance(found, Mapping):
        return [found]
    subject = safe_text(finding.subject)
    own = [each for each in found if each.get("iface", each.get("namespace")) == subject]
    return [process for each in own for process in each.get("processes", [each])[:1]]


def _unit(finding: Finding) -> tuple[float, str]:
    if finding.check == "packet_errors":
        return _RATIO if finding.limit else _PACKETS
    if finding.check == "link":
        return 1, "changes" if finding.aspect == "flapping" else ""
    return _UNITS.get(finding.check, (1, ""))


def _labels(finding: Finding, **more: str) -> str:
    return labels(check=finding.check, subject=safe_text(finding.subject), **more)


def _state(alert: Alert) -> str:
    return _labels(alert.finding, aspect=alert.finding.aspect, severity=alert.severity.lower())
