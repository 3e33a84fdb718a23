"""Snapshot + Settings -> findings. Pure.

Laws: a limit is breached by more than it, never by equal. What is unknown breaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from network_health.model import Finding, Interface, Snapshot
from network_health.settings import Settings

__all__ = ["evaluate"]


def evaluate(snapshot: Snapshot, settings: Settings) -> tuple[Finding, ...]:
    """The findings of one check: per interface outbound, inbound, errors; then connections."""
    return tuple(_findings(snapshot, settings))


def _findings(snapshot: Snapshot, settings: Settings) -> Iterator[Finding]:
    for interface in snapshot.interfaces or ():
        name = interface.link.name
        yield from _rate("tx_rate", name, "outbound", interface.tx_mbps, settings.tx_threshold_mbps)
        yield from _rate("rx_rate", name, "inbound", interface.rx_mbps, settings.rx_threshold_mbps)
        yield from _errors(interface, settings)
    connections = snapshot.connections
    if connections and connections.total > settings.conn_threshold:
        text = f"High connection count: {connections.total} > {settings.conn_threshold}"
        yield Finding("connections", "host", text, connections.total, settings.conn_threshold)


def _rate(check: str, name: str, way: str, mbps: float | None, limit: float) -> Iterator[Finding]:
    if mbps is not None and mbps > limit:
        yield Finding(check, name, f"{name} {way} {mbps} Mbps > {limit} Mbps", mbps, limit)


def _errors(interface: Interface, settings: Settings) -> Iterator[Finding]:
    if settings.packet_errors == "total":
        counters = interface.link.counters
        tx, rx = (counters.tx_errors, counters.rx_errors) if counters else (0, 0)
        drops, mark = counters.drops if counters else 0, ""
    else:
        tx, rx, drops = interface.new_tx_errors, interface.new_rx_errors, interface.new_drops
        mark = " (since boot)" if interface.since_boot else ""
    if tx or rx or drops:
        name = interface.link.name
        text = f"{name} errors: TX={tx} RX={rx} drops={drops}{mark}"
        yield Finding("packet_errors", name, text, tx + rx + drops, 0)
