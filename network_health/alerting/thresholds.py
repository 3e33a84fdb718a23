"""Compares a snapshot with the limits in the settings. Pure.

Guarantees:
- A limit is breached only by a larger value, never by an equal one. An unknown value breaches nothing.
- A value between ``clear_percent`` of its limit and the limit gives a finding with ``breached`` false; its
  sentence names the lowered limit.
- With ``packet_error_percent`` above 0, new errors and drops are compared as a share of all packets in the
  window, and only if there were at least `MIN_PACKETS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from network_health.alerting.protocol_limits import protocol_findings
from network_health.model import Finding, Interface, Snapshot
from network_health.settings import Settings

#: With fewer packets, very few errors would be a large share.
MIN_PACKETS = 100

_LIMITS = tuple(f.name for f in fields(Settings) if "threshold" in f.name or f.name == "packet_error_percent")


def evaluate(snapshot: Snapshot, settings: Settings) -> tuple[Finding, ...]:
    """The findings in this order: each interface's outbound, inbound, errors; connections; protocols.

    Findings in the clear band come last.
    """
    breached = tuple(_breached(snapshot, settings))
    if settings.clear_percent >= 100:
        return breached
    found = {(finding.check, finding.subject) for finding in breached}
    share = settings.clear_percent / 100
    limits = {name: getattr(settings, name) for name in _LIMITS}
    lowered: dict[str, Any] = {name: _scaled(limit, share) for name, limit in limits.items() if limit}
    return breached + tuple(
        _clearing(finding, settings.clear_percent)
        for finding in _breached(snapshot, replace(settings, **lowered))
        if (finding.check, finding.subject) not in found
    )


def _clearing(finding: Finding, percent: float) -> Finding:
    text = f"{finding.text} ({percent:g}% of the limit)"
    return replace(finding, text=text, limit=_scaled(finding.limit, 100 / percent), breached=False)


def _scaled(limit: float, share: float) -> float:
    """Rounded, so that a sentence has 225 and not 225.00000000000003 for 90 % of 250."""
    scaled = float(f"{limit * share:.10g}")
    return int(scaled) if scaled.is_integer() else scaled


def _breached(snapshot: Snapshot, settings: Settings) -> Iterator[Finding]:
    for interface in snapshot.interfaces or ():
        name = interface.link.name
        yield from _rate("tx_rate", name, "outbound", interface.tx_mbps, settings.tx_threshold_mbps)
        yield from _rate("rx_rate", name, "inbound", interface.rx_mbps, settings.rx_threshold_mbps)
        yield from _errors(interface, settings)
    connections = snapshot.connections
    if connections and connections.total > settings.conn_threshold:
        text = f"High connection count: {connections.total} > {settings.conn_threshold}"
        yield Finding("connections", "host", text, connections.total, settings.conn_threshold)
    yield from protocol_findings(snapshot.protocols, settings)


def _rate(check: str, name: str, direction: str, mbps: float | None, limit: float) -> Iterator[Finding]:
    if mbps is not None and mbps > limit:
        yield Finding(check, name, f"{name} {direction} {mbps} Mbps > {limit} Mbps", mbps, limit)


def _errors(interface: Interface, settings: Settings) -> Iterator[Finding]:
    counters, suffix = interface.link.counters, " (since boot)" if interface.since_boot else ""
    tx, rx, drops = (n or 0 for n in (interface.new_tx_errors, interface.new_rx_errors, interface.new_drops))
    limit = settings.packet_error_percent
    if settings.packet_errors == "total":
        tx, rx, drops = (counters.tx_errors, counters.rx_errors, counters.drops) if counters else (0, 0, 0)
        suffix, limit = "", 0
    if not (tx or rx or drops):
        return
    name, lost = interface.link.name, tx + rx + drops
    text = f"{name} errors: TX={tx} RX={rx} drops={drops}{suffix}"
    if not limit:
        yield Finding("packet_errors", name, text, lost, 0)
        return
    if interface.new_packets is None:
        return
    packets = interface.new_packets + lost
    percent = float(f"{100 * lost / packets:.3g}")
    if packets >= MIN_PACKETS and percent > limit:
        yield Finding("packet_errors", name, f"{text}, {percent}% of packets > {limit}%", percent, limit)
