"""Compares the protocol metrics with their limits. Pure.

Guarantees: a limit is breached only by a larger value, never by an equal one. Nothing is breached if the
limit is off, or if the metric is unknown or does not exist on this host.
"""

from __future__ import annotations

from collections.abc import Iterator

from network_health.model import Finding, PortUse, Protocols
from network_health.settings import Settings

#: Check, label, value, unit, limit.
_Metric = tuple[str, str, float | None, str, float | None]


def protocol_findings(protocols: Protocols | None, settings: Settings) -> Iterator[Finding]:
    """The findings, in the order of the settings; none if ``protocols`` is ``None``."""
    if protocols is None:
        return
    for check, label, value, unit, limit in (*_rates(protocols, settings), *_shares(protocols, settings)):
        if value is not None and limit is not None and value > limit:
            yield Finding(check, "host", f"{label} {value}{unit} > {limit}{unit}", value, limit)


def peer_findings(peer: str, percent: float, settings: Settings) -> Iterator[Finding]:
    """The finding about the address to which the largest share of bytes is sent again, or its clear band."""
    limit = settings.peer_retransmit_threshold_percent
    if limit is None:
        return
    text, lower = f"TCP retransmits to {peer} {percent}%", limit * settings.clear_percent / 100
    if percent > limit:
        yield Finding("peer_retransmits", "host", f"{text} > {limit}%", percent, limit)
    elif percent > lower:
        text = f"{text} > {lower:g}% ({settings.clear_percent:g}% of the limit)"
        yield Finding("peer_retransmits", "host", text, percent, limit, breached=False)


def is_known(check: str, seen: Protocols) -> bool:
    """Whether the metric of ``check`` could be measured, so that no finding means no breach.

    A retransmit share that was left out because of few segments counts as known. So does a resource that does
    not exist on this host, if the kernel's limits can be read.
    """
    if check == "retransmits":
        return seen.out_segments_per_sec is not None
    rates = {metric[0]: metric[2] for metric in _rates(seen, Settings())}
    return rates[check] is not None if check in rates else seen.has_limits


def _rates(seen: Protocols, settings: Settings) -> Iterator[_Metric]:
    again, listen = settings.retransmit_threshold_percent, settings.listen_overflow_threshold_per_sec
    syn, udp = settings.syn_queue_threshold_per_sec, settings.udp_error_threshold_per_sec
    softnet, dropped = settings.softnet_threshold_per_sec, settings.listen_drop_threshold_per_sec
    yield "retransmits", "TCP retransmits", seen.retransmit_percent, "%", again
    yield "listen_overflows", "Listen queue overflows", seen.listen_overflows_per_sec, "/s", listen
    yield "listen_drops", "Listen drops", seen.listen_drops_per_sec, "/s", dropped
    yield "syn_cookies", "SYN cookies sent", seen.syn_cookies_sent_per_sec, "/s", syn
    yield "syn_queue_drops", "SYN queue drops", seen.syn_queue_full_drops_per_sec, "/s", syn
    yield "udp_receive", "UDP receive buffer errors", seen.udp_receive_buffer_errors_per_sec, "/s", udp
    yield "udp_send", "UDP send buffer errors", seen.udp_send_buffer_errors_per_sec, "/s", udp
    yield "softnet_dropped", "Softnet drops", seen.softnet_dropped_per_sec, "/s", softnet
    yield "softnet_squeezed", "Softnet squeezes", seen.softnet_squeezed_per_sec, "/s", softnet


def _shares(seen: Protocols, settings: Settings) -> Iterator[_Metric]:
    conntrack, orphans = settings.conntrack_threshold_percent, settings.orphan_threshold_percent
    memory, ports = settings.tcp_memory_threshold_percent, settings.ephemeral_port_threshold_percent
    if seen.conntrack:
        yield "conntrack", "Conntrack table", seen.conntrack.percent, "%", conntrack
    if seen.orphans:
        yield "orphans", "Orphaned TCP sockets", seen.orphans.percent, "%", orphans
    if seen.tcp_memory:
        yield "tcp_memory", "TCP memory", seen.tcp_memory.percent, "%", memory
    if seen.busiest_ports:
        yield "ephemeral_ports", _route(seen.busiest_ports), seen.busiest_ports.ports.percent, "%", ports


def _route(use: PortUse) -> str:
    remote = f"[{use.remote}]" if ":" in use.remote else use.remote
    return f"Ephemeral ports from {use.local} to {remote}:{use.remote_port}"
