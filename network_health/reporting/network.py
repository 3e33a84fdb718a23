"""Converts the traffic of processes to metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from network_health.model import Owner, Traffic
from network_health.reporting.text import safe_text

#: The metrics of a process that are also added to ``top_procs``.
TRAFFIC_KEYS = ("net_tx_bytes", "net_rx_bytes", "net_tx_mbps", "net_rx_mbps", "sockets")


def network_metrics(traffic: Traffic, owners: Mapping[int, Owner]) -> list[dict[str, Any]]:
    """``metrics.top_network``: the processes in ``owners``, or all if it is empty; last the unattributed."""
    entries = []
    for process in traffic.processes:
        if owners and process.pid not in owners:
            continue
        owner = owners.get(process.pid, Owner(process.pid))
        places = {"container": owner.container, "unit": owner.unit}
        entries.append(
            {"pid": process.pid, "name": owner.name and safe_text(owner.name), "user": owner.user}
            | {key: place for key, place in places.items() if place}
            | ({"shared_with": list(process.shared_with)} if process.shared_with else {})
            | _traffic_metrics(process.sent, process.received, traffic.seconds, process.sockets)
        )
    sent = traffic.sent - sum(p.sent for p in traffic.processes)
    received = traffic.received - sum(p.received for p in traffic.processes)
    unattributed = {"pid": None, "name": "unattributed", "user": None} | _traffic_metrics(
        sent, received, traffic.seconds, traffic.unattributed_sockets
    )
    return [*entries, unattributed | ({} if traffic.is_whole else {"is_whole": False})]


def _traffic_metrics(sent: int, received: int, seconds: float, sockets: int) -> dict[str, Any]:
    mbps = [round(octets / seconds * 8 / 1e6, 2) for octets in (sent, received)]
    return dict(zip(TRAFFIC_KEYS, (sent, received, *mbps, sockets), strict=True))
