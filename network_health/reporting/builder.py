"""Converts a snapshot and a verdict to the content of a report. Pure.

Guarantees: only plain, JSON-safe types. The reference's fields keep their name, type and meaning: an unknown
value becomes what the reference reports for it, such as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from network_health.alerting import Alert, ResolvedAlert, Verdict, finding_sentences, resolved_sentences
from network_health.model import (
    Attribution,
    Connections,
    Cost,
    Interface,
    Protocols,
    RankedProcess,
    Share,
    Snapshot,
)
from network_health.reporting.namespaces import namespace_metrics
from network_health.reporting.network import TRAFFIC_KEYS, network_metrics, traffic_metrics
from network_health.reporting.report import Report
from network_health.reporting.text import safe_text, safe_value
from network_health.settings import Settings

HEALTHY_DETAILS = "Network health within normal bounds."
_NO_LIMITS = (
    "connection tracking, orphans, TCP memory and ephemeral ports are not monitored: the limits of the "
    "kernel in /proc/sys/net are not visible"
)


def build_report(
    snapshot: Snapshot, verdict: Verdict, settings: Settings, settings_errors: Sequence[str] = ()
) -> Report:
    """The report of one check, which compared with the limits of ``settings``.

    A failed collector has no metrics and is named in ``failures``. If there is no finding, it makes the
    report ``check_failed``: not everything was checked. A healthy report names the resolved alerts.
    """
    if verdict.findings:
        status, severity = "network_issue", verdict.severity
        found = [("", finding) for finding in verdict.findings]
        details = "; ".join(finding_sentences(found, with_culprits=settings.culprits_in_details))
    elif snapshot.failures:
        status, severity = "check_failed", "WARNING"
        details = "; ".join(f"Check of {f.collector} failed: {f.reason}" for f in snapshot.failures)
    else:
        status, severity = "healthy", "INFO"
        details = " ".join((HEALTHY_DETAILS, *(f"{s}." for s in resolved_sentences(verdict.resolved))))
    metrics = _metrics(snapshot, settings_errors) | _alert_metrics(verdict)
    return Report(
        status,
        severity,
        safe_text(details),
        metrics,
        snapshot.timestamp,
        verdict.due,
        tuple(map(safe_text, verdict.changes)),
        interfaces=snapshot.interfaces,
        connections=snapshot.connections,
        processes=snapshot.top_processes,
        protocols=snapshot.protocols,
        namespaces=snapshot.namespaces,
        alerts=verdict.alerts,
        resolved=verdict.resolved,
        culprits=metrics.get("culprits", {}),
        failures=snapshot.failures,
        cost=snapshot.cost,
        settings=settings,
    )


def _metrics(snapshot: Snapshot, settings_errors: Sequence[str]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    if snapshot.interfaces is not None:
        metrics["interfaces"] = interface_metrics(snapshot.interfaces)
    if snapshot.connections is not None:
        metrics.update(connection_metrics(snapshot.connections))
    if snapshot.top_processes is not None:
        metrics["top_procs"] = process_metrics(snapshot.top_processes)
    if snapshot.protocols is not None:
        metrics["protocols"] = protocol_metrics(snapshot.protocols)
        metrics |= limits_note(snapshot.protocols)
        metrics |= traffic_metrics(snapshot.protocols, snapshot.attribution)
    if snapshot.namespaces is not None:
        metrics.update(namespace_metrics(snapshot.namespaces))
    if snapshot.attribution is not None:
        _add_culprits(metrics, snapshot.attribution)
    metrics["check"] = _cost(snapshot.cost)
    if snapshot.failures:
        metrics["failures"] = [
            {"collector": f.collector, "reason": safe_text(f.reason)} for f in snapshot.failures
        ]
    if settings_errors:
        metrics["settings_errors"] = list(settings_errors)
    return metrics


def _alert_metrics(verdict: Verdict) -> dict[str, Any]:
    recovered = [_resolved(r) for r in verdict.resolved if r.reason == "normal"]
    ended = [_resolved(r) | {"reason": r.reason} for r in verdict.resolved if r.reason != "normal"]
    lists = {
        "alerts": [_alert(alert, verdict.at_s) for alert in verdict.alerts],
        "recovered": recovered,
        "ended": ended,
    }
    return {name: entries for name, entries in lists.items() if entries}


def _alert(alert: Alert, now_s: float) -> dict[str, Any]:
    finding = alert.finding
    aspect = {"aspect": finding.aspect} if finding.aspect else {}
    return {
        "check": finding.check,
        "subject": safe_text(finding.subject),
        **aspect,
        "severity": alert.severity,
        "state": alert.state,
        "since": alert.since,
        "lasted_s": round(now_s - alert.since_s, 1),
        "checks": alert.checks,
        "value": finding.value,
        "limit": finding.limit,
    }


def _resolved(resolved: ResolvedAlert) -> dict[str, Any]:
    finding = resolved.alert.finding
    return {
        "check": finding.check,
        "subject": safe_text(finding.subject),
        "lasted_s": round(resolved.lasted_s, 1),
    }


def interface_metrics(interfaces: Sequence[Interface]) -> list[dict[str, Any]]:
    """``metrics.interfaces``: the reference's fields, then the added ones."""
    return [_interface(interface) for interface in interfaces]


def _interface(interface: Interface) -> dict[str, Any]:
    link, counters = interface.link, interface.link.counters
    return {
        "iface": safe_text(link.name),
        "ip": list(link.ipv4),
        "up": link.up,
        "speed_mbps": link.speed_mbps or 0,
        "tx_errs": counters.tx_errors if counters else 0,
        "rx_errs": counters.rx_errors if counters else 0,
        "drops": counters.drops if counters else 0,
        "tx_rate_mbps": interface.tx_mbps or 0,
        "rx_rate_mbps": interface.rx_mbps or 0,
        "tx_peak_mbps": interface.tx_peak_mbps,
        "rx_peak_mbps": interface.rx_peak_mbps,
        "ip6": list(link.ipv6),
        "mtu": link.mtu,
        "kind": link.kind,
        "operstate": link.operstate,
        "carrier_changes": link.carrier_changes,
        "new_tx_errs": interface.new_tx_errors,
        "new_rx_errs": interface.new_rx_errors,
        "new_drops": interface.new_drops,
        "new_rx_dropped": interface.new_rx_dropped,
        "rx_nohandler": link.rx_nohandler,
        "counters_reset": interface.counters_reset,
        **_unknown(interface),
    }


def _unknown(interface: Interface) -> dict[str, list[str]]:
    """``unknown``: the fields of the reference that are 0 because their value is not known."""
    values = {"tx_rate_mbps": interface.tx_mbps, "rx_rate_mbps": interface.rx_mbps}
    values |= dict.fromkeys(("tx_errs", "rx_errs", "drops"), 0 if interface.link.counters else None)
    names = [name for name, value in values.items() if value is None]
    return {"unknown": names} if names else {}


def connection_metrics(connections: Connections) -> dict[str, Any]:
    """``metrics.total_connections`` and ``metrics.by_status``."""
    return {"total_connections": connections.total, "by_status": dict(connections.by_status)}


def process_metrics(processes: Sequence[RankedProcess]) -> list[dict[str, Any]]:
    """``metrics.top_procs``, the busiest first."""
    return [_process(process) for process in processes]


def _process(process: RankedProcess) -> dict[str, Any]:
    sample, details = process.sample, process.details
    return {
        "pid": sample.pid,
        "name": safe_text(details.name or sample.name),
        "cpu_percent": process.cpu_percent or 0.0,
        "rss_mb": (sample.rss_bytes or 0) / 1024**2,
        "write_bytes": details.write_bytes or 0,
        "read_bytes": details.read_bytes or 0,
        "user": details.user,
        "command": details.command and safe_text(details.command),
    }


def protocol_metrics(protocols: Protocols) -> dict[str, Any]:
    """``metrics.protocols``: an unknown rate is null; a resource that the host does not have has no key."""
    rates = (field.name for field in fields(protocols) if field.name.endswith(("_percent", "_per_sec")))
    metrics: dict[str, Any] = {name: getattr(protocols, name) for name in rates}
    for name in ("conntrack", "orphans", "tcp_memory"):
        share: Share | None = getattr(protocols, name)
        if share:
            metrics[name] = _share(share)
    busiest = protocols.busiest_ports
    if busiest:
        metrics["ephemeral_ports"] = {
            "local": busiest.local,
            "remote": busiest.remote,
            "remote_port": busiest.remote_port,
            **_share(busiest.ports),
        }
    return metrics


def limits_note(protocols: Protocols) -> dict[str, str]:
    """``metrics.protocols_note``, if the limits of the kernel could not be read."""
    return {} if protocols.has_limits else {"protocols_note": _NO_LIMITS}


def _share(share: Share) -> dict[str, Any]:
    return {"used": share.used, "limit": share.limit, "percent": share.percent}


def _add_culprits(metrics: dict[str, Any], attribution: Attribution) -> None:
    """Add ``culprits``, and if bytes were counted the bytes of processes."""
    evidence = safe_value(attribution.evidence)
    if attribution.failure:
        evidence["failure"] = safe_text(attribution.failure)
    if evidence:
        metrics["culprits"] = evidence
    if attribution.traffic is None:
        return
    entries = network_metrics(attribution.traffic, attribution.owners)
    metrics["top_network"], metrics["coverage_percent"] = entries, attribution.traffic.coverage_percent
    by_pid = {entry["pid"]: entry for entry in network_metrics(attribution.traffic, {})}
    for process in metrics.get("top_procs", ()):
        entry = by_pid.get(process["pid"], {})
        process.update({key: entry[key] for key in TRAFFIC_KEYS if key in entry})


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "total_ms": round(cost.total_ms, 2),
        "collectors": {name: round(ms, 2) for name, ms in cost.collectors_ms.items()},
        "readers": dict(cost.readers),
    }
