"""The lines below the first: the figures that a human goes on with."""

from __future__ import annotations

import time
from typing import Any

from .conditions import Condition, lasting
from .values import (
    MOST_OF_A_KIND,
    agent,
    as_dict,
    as_list,
    clean,
    figure,
    flat,
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
    """One line each, most telling first.

    ``history`` are the reports of the same agent, this one included; ``others`` all the rest.
    """
    metrics = metrics_of(report)
    lines = [f"{c.severity}: {c.text}{lasting(c)}" for c in found[: 2 * MOST_OF_A_KIND]]
    if len(found) > 2 * MOST_OF_A_KIND:
        lines.append(f"and {len(found) - 2 * MOST_OF_A_KIND} findings more")
    lines += _course(found, history)
    for name in list(dict.fromkeys(c.subject for c in found))[:MOST_OF_A_KIND]:
        lines += _interface_line(interface(report, name))
    states = [f"{name} {figure(count)}" for count, name in states_of(report)[: 2 * MOST_OF_A_KIND]]
    if states:
        lines.append(f"Connections: {figure(number(metrics.get('total_connections')))}; {', '.join(states)}")
    for name, culprits in list(as_dict(metrics.get("culprits")).items())[:MOST_OF_A_KIND]:
        for culprit in (culprits if isinstance(culprits, list) else [culprits])[:MOST_OF_A_KIND]:
            lines += _culprit_lines(f"Culprits, {clean(name, 40)}", culprit)
    network = [as_dict(entry) for entry in as_list(metrics.get("top_network"))]
    lines += _listed("Busiest on the network", [_traffic(entry) for entry in network if process(entry)])
    cpu = [f"{process(p)} {figure(share)}%" for share, p in ranked("cpu_percent", metrics.get("top_procs"))]
    lines += _listed("Busiest by CPU", cpu)
    failures = [as_dict(failure) for failure in as_list(metrics.get("failures"))]
    lines += _listed("Could not be checked", [flat(failure) for failure in failures if failure])
    lines += _listed("Also reported", list(dict.fromkeys(_other(e) for e in others if severity(e) != "INFO")))
    lines.append(
        f"Judged by {len(history)} reports of {agent(report) or 'one agent'}, the last at {_clock(report)}"
    )
    return lines


def _culprit_lines(title: str, culprit: object) -> list[str]:
    """A line of its plain figures, and one for each list in it."""
    if not isinstance(culprit, dict):
        return [f"{title}: {flat(culprit)}"]
    lists = [(key, value) for key, value in culprit.items() if isinstance(value, list) and value]
    plain = {key: value for key, value in culprit.items() if not isinstance(value, list)}
    lines = [f"{title}: {flat(plain)}"] if plain else []
    for key, entries in lists[: 2 * MOST_OF_A_KIND]:
        lines += _listed(f"{title}, {clean(key, 40)}", [flat(entry) for entry in entries])
    return lines


def _traffic(entry: dict[str, Any]) -> str:
    sent, received = number(entry.get("net_tx_mbps")), number(entry.get("net_rx_mbps"))
    return f"{process(entry)} out {figure(sent)} in {figure(received)} Mbps"


def _course(found: list[Condition], history: list[dict[str, Any]]) -> list[str]:
    """How the worst finding's figure went from report to report."""
    if not found:
        return []
    key = found[0].check, found[0].subject
    values = [
        figure(number(alert.get("value")))
        for event in history
        for alert in as_list(metrics_of(event).get("alerts"))
        if isinstance(alert, dict) and (alert.get("check"), alert.get("subject")) == key
    ]
    return [f"Course of {' of '.join(key)}: {' -> '.join(values[-10:])}"] if len(set(values)) > 1 else []


def _interface_line(seen: dict[str, Any]) -> list[str]:
    if not seen:
        return []
    figures = {key: figure(number(seen.get(key))) for key in seen}
    return [
        f"Interface {clean(seen.get('iface'), 40)}: {'up' if seen.get('up') is True else 'down'}, "
        f"link {figures.get('speed_mbps')} Mbps, out {figures.get('tx_rate_mbps')} Mbps, "
        f"in {figures.get('rx_rate_mbps')} Mbps, new errors TX={figures.get('new_tx_errs')} "
        f"RX={figures.get('new_rx_errs')} drops={figures.get('new_drops')}, {flat(seen.get('ip'))}"
    ]


def _other(event: dict[str, Any]) -> str:
    service, status = flat(event.get("service_name")), flat(event.get("status"))
    return clean(f"{service} is {status} ({severity(event)}): {flat(event.get('details'))}", 150)


def _listed(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = f", and {len(items) - MOST_OF_A_KIND} more" if len(items) > MOST_OF_A_KIND else ""
    return [f"{title}: {'; '.join(items[:MOST_OF_A_KIND])}{more}"]


def _clock(report: dict[str, Any]) -> str:
    timestamp = number(report.get("timestamp"))
    if timestamp is None or not 0 <= timestamp < 1e11:
        return "an unknown time"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
