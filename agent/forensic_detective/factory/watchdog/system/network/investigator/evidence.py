"""Writes the evidence of an incident: the lines below the first."""

from __future__ import annotations

import time
from typing import Any

from .conditions import Condition, lasting
from .values import (
    MAX_ITEMS,
    agent,
    as_dict,
    as_list,
    as_text,
    clean,
    interface,
    metrics_of,
    number,
    process,
    ranked,
    severity,
    states_of,
)


def evidence(
    found: list[Condition],
    report: dict[str, Any],
    history: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> list[str]:
    """One line for each piece of evidence, the most useful first.

    ``history`` are the reports of the same agent, this one included; ``others`` are all other reports.
    """
    metrics = metrics_of(report)
    lines = [f"{c.severity}: {c.text}{lasting(c)}" for c in found[: 2 * MAX_ITEMS]]
    if len(found) > 2 * MAX_ITEMS:
        lines.append(f"and {len(found) - 2 * MAX_ITEMS} more findings")
    lines += _values(found, history)
    for name in list(dict.fromkeys(c.subject for c in found))[:MAX_ITEMS]:
        lines += _interface_line(interface(report, name))
    states = [f"{name} {as_text(count)}" for count, name in states_of(report)[: 2 * MAX_ITEMS]]
    if states:
        lines.append(f"Connections: {as_text(number(metrics.get('total_connections')))}; {', '.join(states)}")
    for name, culprits in list(as_dict(metrics.get("culprits")).items())[:MAX_ITEMS]:
        for culprit in (culprits if isinstance(culprits, list) else [culprits])[:MAX_ITEMS]:
            lines += _culprit_lines(f"Culprits, {clean(name, 40)}", culprit)
    network = [as_dict(entry) for entry in as_list(metrics.get("top_network"))]
    lines += _listed("Busiest on the network", [_traffic(entry) for entry in network if process(entry)])
    cpu = [f"{process(p)} {as_text(share)}%" for share, p in ranked("cpu_percent", metrics.get("top_procs"))]
    lines += _listed("Busiest by CPU", cpu)
    failures = [as_dict(failure) for failure in as_list(metrics.get("failures"))]
    lines += _listed("Could not be checked", [as_text(failure) for failure in failures if failure])
    lines += _listed("Also reported", list(dict.fromkeys(_other(e) for e in others if severity(e) != "INFO")))
    lines.append(
        f"Based on {len(history)} reports of {agent(report) or 'one agent'}, the last at {_time_of(report)}"
    )
    return lines


def _culprit_lines(title: str, culprit: object) -> list[str]:
    """One line with the plain values of a culprit, and one for each list in it."""
    if not isinstance(culprit, dict):
        return [f"{title}: {as_text(culprit)}"]
    lists = [(key, value) for key, value in culprit.items() if isinstance(value, list) and value]
    plain = {key: value for key, value in culprit.items() if not isinstance(value, list)}
    lines = [f"{title}: {as_text(plain)}"] if plain else []
    for key, entries in lists[: 2 * MAX_ITEMS]:
        lines += _listed(f"{title}, {clean(key, 40)}", [as_text(entry) for entry in entries])
    return lines


def _traffic(entry: dict[str, Any]) -> str:
    sent, received = number(entry.get("net_tx_mbps")), number(entry.get("net_rx_mbps"))
    return f"{process(entry)} out {as_text(sent)} in {as_text(received)} Mbps"


def _values(found: list[Condition], history: list[dict[str, Any]]) -> list[str]:
    """The value of the worst finding in each report."""
    if not found:
        return []
    key = found[0].check, found[0].subject
    values = [
        as_text(number(alert.get("value")))
        for event in history
        for alert in as_list(metrics_of(event).get("alerts"))
        if isinstance(alert, dict) and (alert.get("check"), alert.get("subject")) == key
    ]
    return [f"Values of {' of '.join(key)}: {' -> '.join(values[-10:])}"] if len(set(values)) > 1 else []


def _interface_line(seen: dict[str, Any]) -> list[str]:
    if not seen:
        return []
    shown = {key: as_text(number(seen.get(key))) for key in seen}
    return [
        f"Interface {clean(seen.get('iface'), 40)}: {'up' if seen.get('up') is True else 'down'}, "
        f"link {shown.get('speed_mbps')} Mbps, out {shown.get('tx_rate_mbps')} Mbps, "
        f"in {shown.get('rx_rate_mbps')} Mbps, new errors TX={shown.get('new_tx_errs')} "
        f"RX={shown.get('new_rx_errs')} drops={shown.get('new_drops')}, {as_text(seen.get('ip'))}"
    ]


def _other(event: dict[str, Any]) -> str:
    service, status = as_text(event.get("service_name")), as_text(event.get("status"))
    return clean(f"{service} is {status} ({severity(event)}): {as_text(event.get('details'))}", 150)


def _listed(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = f", and {len(items) - MAX_ITEMS} more" if len(items) > MAX_ITEMS else ""
    return [f"{title}: {'; '.join(items[:MAX_ITEMS])}{more}"]


def _time_of(report: dict[str, Any]) -> str:
    timestamp = number(report.get("timestamp"))
    if timestamp is None or not 0 <= timestamp < 1e11:
        return "an unknown time"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
