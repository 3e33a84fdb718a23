"""Compares a snapshot with the limits in the settings. Pure.

Guarantees:
- A limit is breached only by a larger value, never by an equal one. An unknown value breaches nothing.
- A value between ``clear_percent`` of its limit and the limit gives a finding with ``breached`` false; its
  sentence names the lowered limit.
- With ``packet_error_percent`` above 0, new errors and drops are compared as a share of the packets of their
  own direction in the window, and only if there were at least `MIN_PACKETS` in it.
- A few received frames that only the network stack dropped give no finding: see `_unwanted`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from network_health.alerting.namespace_limits import namespace_findings
from network_health.alerting.protocol_limits import protocol_findings
from network_health.model import Counters, Finding, Interface, Snapshot
from network_health.settings import Settings

#: With fewer packets, very few errors would be a large share.
MIN_PACKETS = 100
#: Switches and other hosts send frames of protocols that this host does not use, each at most twice a second.
MAX_UNWANTED_PER_SEC = 5
MAX_UNWANTED = 100

_LIMITS = tuple(f.name for f in fields(Settings) if "threshold" in f.name or f.name == "packet_error_percent")


def evaluate(snapshot: Snapshot, settings: Settings) -> tuple[Finding, ...]:
    """The findings in this order: each interface's outbound, inbound, errors; connections, also
    those of other network namespaces; protocols.

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
        tx_peak = rx_peak = None
        if settings.rate_basis == "peak":
            tx_peak, rx_peak = interface.tx_peak_mbps, interface.rx_peak_mbps
        yield from _rate("tx_rate", name, "outbound", interface.tx_mbps, tx_peak, settings.tx_threshold_mbps)
        yield from _rate("rx_rate", name, "inbound", interface.rx_mbps, rx_peak, settings.rx_threshold_mbps)
        yield from _errors(interface, settings)
    connections = snapshot.connections
    if connections and connections.total > settings.conn_threshold:
        text = f"High connection count: {connections.total} > {settings.conn_threshold}"
        yield Finding("connections", "host", text, connections.total, settings.conn_threshold)
    yield from namespace_findings(snapshot.namespaces, settings)
    yield from protocol_findings(snapshot.protocols, settings)


def _rate(
    check: str, name: str, direction: str, mbps: float | None, peak_mbps: float | None, limit: float
) -> Iterator[Finding]:
    """A peak that is not known is not judged, but the average."""
    if peak_mbps is not None:
        direction, mbps = f"{direction} peak", peak_mbps
    if mbps is not None and mbps > limit:
        yield Finding(check, name, f"{name} {direction} {mbps} Mbps > {limit} Mbps", mbps, limit)


def _errors(interface: Interface, settings: Settings) -> Iterator[Finding]:
    name, limit = interface.link.name, settings.packet_error_percent
    if settings.packet_errors == "total":
        counters = interface.link.counters or Counters()
        yield from _any_loss(name, counters.tx_errors, counters.rx_errors, counters.drops)
        return
    tx, rx, drops = (n or 0 for n in (interface.new_tx_errors, interface.new_rx_errors, interface.new_drops))
    unwanted = _unwanted(interface)
    if tx + rx + drops == unwanted:
        return
    suffix = " (since boot)" if interface.since_boot else ""
    if not limit:
        yield from _any_loss(name, tx, rx, drops, suffix)
        return
    sent, received = tx + (interface.new_tx_drops or 0), rx + (interface.new_rx_drops or 0) - unwanted
    # The kernel counts a frame in rx_dropped as received, but no other lost one as sent or received.
    sent_percent = _percent(sent, interface.new_tx_packets, sent)
    received_percent = _percent(received, interface.new_rx_packets, rx + (interface.new_rx_missed or 0))
    both = (sent_percent, "sent"), (received_percent, "received")
    shares = [(percent, way) for percent, way in both if percent is not None and percent > limit]
    if shares:
        found = " and ".join(f"{percent}% of {way} packets" for percent, way in shares)
        text = f"{_loss_text(name, tx, rx, drops)}{suffix}, {found} > {limit}%"
        yield Finding("packet_errors", name, text, max(shares)[0], limit)


def _any_loss(name: str, tx: int, rx: int, drops: int, suffix: str = "") -> Iterator[Finding]:
    lost = tx + rx + drops
    if lost:
        yield Finding("packet_errors", name, _loss_text(name, tx, rx, drops) + suffix, lost, 0)


def _loss_text(name: str, tx: int, rx: int, drops: int) -> str:
    return f"{name} errors: TX={tx} RX={rx} drops={drops}"


def _percent(lost: int, packets: int | None, not_in_packets: int) -> float | None:
    """The share of lost packets; ``None`` if the packets are unknown or too few."""
    if packets is None:
        return None
    total = max(packets + not_in_packets, lost)  # a veth may drop a frame before it counts it
    return float(f"{100 * lost / total:.3g}") if total >= MIN_PACKETS else None


def _unwanted(interface: Interface) -> int:
    """Dropped frames that may be of a protocol that this host does not use: LLDP, loop detection.

    The kernel counts each as received and in rx_dropped, like a real loss, and does not say which it was.
    But such frames arrive at a low rate, whatever the traffic is. So rx_dropped is a loss only if it exceeds
    this rate. If the length of the window is unknown, the rate is, too: then it is not known to be a loss.
    """
    dropped, window_s = interface.new_rx_dropped or 0, interface.window_s
    if window_s is None or dropped <= max(MAX_UNWANTED, MAX_UNWANTED_PER_SEC * window_s):
        return dropped
    return 0
