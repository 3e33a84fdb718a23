"""Writes the line that leaves the swarm: what is wrong, for how long, the culprit, and what to do."""

from __future__ import annotations

import shlex
from typing import Any

from .conditions import Condition, cause_of, lasting
from .values import agent, as_text, clean, interface, metrics_of, number, process, ranked, severity, states_of

MAX_LINE = 300
#: A finding is never cut to less than this.
_MIN_FINDING = 60

#: What to do about each check; ``{subject}`` is its interface.
_ADVICE = {
    "tx_rate": "Stop or throttle the sender (ss -tinp), or raise tx_threshold_mbps if this is wanted",
    "rx_rate": "Stop or limit the source (ss -tinp), or raise rx_threshold_mbps if this is wanted",
    "packet_errors": "Check cable, transceiver and duplex: ethtool -S {subject}",
    "packet_errors drops": "Buffers, MTU or CPU do not keep up: ip -s -s link show {subject}",
    "connections": "Limit or block the source (ss -tunap), or raise conn_threshold if this is wanted",
    "connections SYN_RECV": "Likely a SYN flood (ss -tn state syn-recv): switch net.ipv4.tcp_syncookies on",
    "connections CLOSE_WAIT": "A program does not close its sockets (ss -tnp state close-wait): restart it",
    "connections TIME_WAIT": "Many short connections (ss -tn state time-wait): let clients keep theirs open",
    "namespace_connections": "Limit the source (nsenter -nt PID ss -tun), or raise container_conn_threshold",
    "link down": "Check cable, switch port and the other end: ip link show {subject}; journalctl -k",
    "link flapping": "Check cable, transceiver and switch port: journalctl -k | grep {subject}",
    "link gone": "The device or its driver vanished: journalctl -k; reseat it or load the driver again",
    "retransmits": "Look for a faulty or full link on the way: ss -ti, the connections with retrans",
    "peer_retransmits": "Look for a faulty or full link on the way to it: ss -ti, mtr",
    "listen_overflows": "A server does not accept fast enough (ss -ltnp, Recv-Q above Send-Q): restart it",
    "listen_drops": "A server loses connections (ss -ltnp): restart it, or switch net.ipv4.tcp_syncookies on",
    "syn_cookies": "Likely a SYN flood (ss -tn state syn-recv); else raise net.ipv4.tcp_max_syn_backlog",
    "syn_queue_drops": "Likely a SYN flood (ss -tn state syn-recv): switch net.ipv4.tcp_syncookies on",
    "udp_receive": "A program reads too slowly (ss -uampn, drops): restart it, or raise net.core.rmem_max",
    "udp_send": "UDP is sent faster than the link takes it: throttle the sender; tc -s qdisc",
    "softnet_dropped": "A CPU cannot handle its packets (mpstat -P ALL): raise net.core.netdev_max_backlog",
    "softnet_squeezed": "A CPU cannot handle its packets (mpstat -P ALL): raise net.core.netdev_budget",
    "conntrack": "When full, new connections are lost (conntrack -L): raise net.netfilter.nf_conntrack_max",
    "orphans": "Peers stopped answering, or a program closes too early: ss -tn state fin-wait-1",
    "tcp_memory": "Peers or programs stopped reading (ss -tmp): restart them, or raise net.ipv4.tcp_mem",
    "ephemeral_ports": "Reuse connections to that remote, or widen net.ipv4.ip_local_port_range",
}
_OTHER_ADVICE = "See the incident file in forensic_detective's summary folder for all details"


def headline(found: list[Condition], report: dict[str, Any]) -> str:
    """What is wrong, for how long, the culprit, and what to do; a long line is cut in the middle."""
    sender = f"{agent(report)}: " if agent(report) else ""
    if not found:
        return f"{sender}a {severity(report)} network report without a finding. {_OTHER_ADVICE}."
    first = found[0]
    cause = cause_of(first, found)
    rest = f"{lasting(first)}{_culprit(first, report)}"
    if cause:
        rest += f"; probable cause: {cause.text}{_culprit(cause, report)}"
    more = len(found) - 1 - bool(cause)
    tail = f" (+{more} more)" if more > 0 else ""
    tail += f". {_advice(cause or first, report)}."
    text = clean(first.text, max(_MIN_FINDING, MAX_LINE - len(sender + rest + tail)))
    return clean(f"{sender}{text}{rest}", MAX_LINE - len(tail)) + tail


def _advice(condition: Condition, report: dict[str, Any]) -> str:
    kind = f"{condition.check} {condition.aspect}".strip()
    if condition.check == "connections":
        kind += f" {_main_state(report)[0]}"
    if condition.check == "packet_errors":
        seen = interface(report, condition.subject)
        errors = (number(seen.get("new_tx_errs")) or 0) + (number(seen.get("new_rx_errs")) or 0)
        kind += " drops" if (number(seen.get("new_drops")) or 0) > errors else ""
    advice = _ADVICE.get(kind) or _ADVICE.get(condition.check, _OTHER_ADVICE)
    return advice.format(subject=shlex.quote(condition.subject))


def _culprit(condition: Condition, report: dict[str, Any]) -> str:
    """The culprit, unless the report's own sentence names it."""
    if condition.text.endswith(")") and "%" in condition.text.rpartition("(")[2]:
        return ""
    if condition.check in ("tx_rate", "rx_rate"):
        key = f"net_{condition.check[:2]}_mbps"
        named = [(rate, p) for rate, p in ranked(key, metrics_of(report).get("top_network")) if process(p)]
        return f", most by {process(named[0][1])} at {as_text(named[0][0])} Mbps" if named else ""
    if condition.check == "connections":
        state, share = _main_state(report)
        return f", {share:.0%} of them {state}" if state else ""
    return ""


def _main_state(report: dict[str, Any]) -> tuple[str, float]:
    """A state that at least half of all connections have, and their share; ``("", 0)`` if there is none."""
    states = states_of(report)
    total = sum(count for count, _ in states)
    if not states or states[0][0] < total / 2:
        return "", 0.0
    return states[0][1], states[0][0] / total
