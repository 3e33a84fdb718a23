"""Converts the traffic of the host and of processes to metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from network_health.model import Attribution, Owner, Protocols, Traffic
from network_health.reporting.text import safe_text

#: The metrics of a process that are also added to ``top_procs``.
TRAFFIC_KEYS = ("net_tx_bytes", "net_rx_bytes", "net_tx_mbps", "net_rx_mbps", "sockets")


def traffic_metrics(protocols: Protocols, attribution: Attribution | None) -> dict[str, Any]:
    """``metrics.traffic``: what the host itself sent and received, by protocol; none if it is not known."""
    counted, seconds = protocols.ip, protocols.window_s
    if counted is None or seconds is None:
        return {}
    metrics = {"window_s": round(seconds, 1)} | _mbps("ip", counted.octets, seconds)
    pairs = {
        "udp_{}_datagrams_per_sec": counted.datagrams,
        "icmp_{}_messages_per_sec": counted.icmp_messages,
        "tcp_{}_segments_per_sec": counted.segments,
    }
    for name, pair in pairs.items():
        sent, received = pair
        metrics[name.format("tx")] = round(sent / seconds, 2)
        metrics[name.format("rx")] = round(received / seconds, 2)
    metrics["forwarded_packets_per_sec"] = round(counted.forwarded / seconds, 2)
    traffic = attribution.traffic if attribution else None
    if traffic and traffic.tcp:
        metrics |= _mbps("tcp", traffic.tcp, traffic.seconds)
    return {"traffic": metrics}


def _mbps(name: str, octets: tuple[int, int], seconds: float) -> dict[str, float]:
    directions = zip(("tx", "rx"), octets, strict=True)
    return {f"{name}_{direction}_mbps": round(n * 8 / seconds / 1e6, 2) for direction, n in directions}


def network_metrics(traffic: Traffic, owners: Mapping[int, Owner]) -> list[dict[str, Any]]:
    """``metrics.top_network``: the processes in ``owners``, or all if it is empty; last the unattributed."""
    entries = []
    for process in traffic.processes:
        if owners and process.pid not in owners:
            continue
        owner = owners.get(process.pid, Owner(process.pid))
        places = {
            "container": owner.container,
            "unit": owner.unit,
            "namespace": owner.namespace and safe_text(owner.namespace),
        }
        entries.append(
            {"pid": process.pid, "name": owner.name and safe_text(owner.name), "user": owner.user}
            | {"protocol": process.protocol}
            | {key: place for key, place in places.items() if place}
            | ({"shared_with": list(process.shared_with)} if process.shared_with else {})
            | _traffic_metrics(process.sent, process.received, traffic.seconds, process.sockets)
        )
    sent = traffic.sent - sum(p.sent for p in traffic.processes)
    received = traffic.received - sum(p.received for p in traffic.processes)
    unattributed = {"pid": None, "name": "unattributed", "user": None} | _traffic_metrics(
        sent, received, traffic.seconds, traffic.unattributed_sockets
    )
    if traffic.unattributed_parts:
        unattributed["parts"] = [
            {
                "kind": each.kind,
                "net_tx_bytes": min(each.sent, sent),
                "net_rx_bytes": min(each.received, received),
            }
            for each in traffic.unattributed_parts
        ]
    return [*entries, unattributed | ({} if traffic.is_whole else {"is_whole": False})]


def _traffic_metrics(sent: int, received: int, seconds: float, sockets: int) -> dict[str, Any]:
    mbps = [round(octets / seconds * 8 / 1e6, 2) for octets in (sent, received)]
    return dict(zip(TRAFFIC_KEYS, (sent, received, *mbps, sockets), strict=True))
