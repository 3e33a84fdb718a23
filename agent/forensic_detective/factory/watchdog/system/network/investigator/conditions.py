"""Extracts the findings of a report, and decides which one probably causes another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .values import as_list, as_text, clean, metrics_of, number, severity

_RANKS = {"CRITICAL": 0, "WARNING": 1}
_MAX_FINDINGS = 100

#: The checks whose findings, if there are any, probably cause a check's finding; the most likely first.
_CAUSES = {
    "packet_errors": ("link", "rx_rate", "tx_rate"),
    "retransmits": ("link", "packet_errors", "tx_rate", "rx_rate", "softnet_dropped"),
    "peer_retransmits": ("link", "packet_errors", "tx_rate", "rx_rate", "softnet_dropped"),
    "connections": ("syn_queue_drops", "syn_cookies", "listen_overflows", "ephemeral_ports"),
    "conntrack": ("syn_queue_drops", "syn_cookies", "connections"),
    "listen_overflows": ("syn_queue_drops", "syn_cookies"),
    "listen_drops": ("syn_queue_drops", "syn_cookies", "listen_overflows"),
    "softnet_dropped": ("rx_rate",),
    "softnet_squeezed": ("rx_rate",),
    "udp_receive": ("softnet_dropped", "rx_rate"),
    "udp_send": ("link", "tx_rate"),
    "tcp_memory": ("orphans", "connections"),
}
_OF_INTERFACES = frozenset({"tx_rate", "rx_rate", "packet_errors", "link"})

#: How to find the check in the sentences of a report without ``metrics.alerts``.
_SENTENCES = (
    (re.compile(r"(?P<subject>\S+) outbound "), "tx_rate"),
    (re.compile(r"(?P<subject>\S+) inbound "), "rx_rate"),
    (re.compile(r"(?P<subject>\S+) errors: "), "packet_errors"),
    (re.compile(r"High connection count"), "connections"),
    (re.compile(r"(?P<subject>\S+) is (?P<aspect>down|flapping|gone)\b"), "link"),
)
_SHARED = re.compile(r"\d+ (?:\S+ )?links (?:are|were) (?P<aspect>\w+): ")


@dataclass(frozen=True)
class Condition:
    """One finding of a report; ``seconds`` and ``checks`` say how long it has lasted."""

    check: str
    subject: str
    aspect: str
    severity: str
    text: str
    seconds: float | None = None
    checks: float | None = None


def find_conditions(report: dict[str, Any]) -> list[Condition]:
    """The findings of a report: the most severe first, a cause before its effect."""
    sentences = [s for s in clean(report.get("details"), 200_000).split("; ") if s]
    alerts = [alert for alert in as_list(metrics_of(report).get("alerts")) if isinstance(alert, dict)]
    found = [_of_alert(alert, i, len(alerts), sentences) for i, alert in enumerate(alerts)]
    if not found:
        found = [_of_sentence(sentence, severity(report)) for sentence in sentences]
    distinct: dict[tuple[str, str], Condition] = {}
    for each in found:
        distinct.setdefault((each.check, each.text), each)
    found = sorted(distinct.values(), key=_rank)[:_MAX_FINDINGS]
    return sorted(found, key=lambda condition: (_rank(condition), cause_of(condition, found) is not None))


def _rank(condition: Condition) -> int:
    return _RANKS.get(condition.severity, len(_RANKS))


def _of_alert(alert: dict[str, Any], place: int, count: int, sentences: list[str]) -> Condition:
    check, subject = clean(alert.get("check"), 40), clean(alert.get("subject"), 20)
    value, limit = number(alert.get("value")), number(alert.get("limit"))
    if count == len(sentences):  # one sentence per alert, in the same order
        text = sentences[place]
    else:
        own = [s for s in sentences if subject and s.startswith(f"{subject} ")]
        shared = _shared_sentences(sentences, subject, alert.get("aspect")) if check == "link" else []
        fallback = f"{subject} {check}: {as_text(value)} > {as_text(limit)}"
        text = own[0] if len(own) == 1 else (shared or [fallback])[0]
    lasted = number(alert.get("lasted_s"))
    return Condition(
        check=check,
        subject=subject,
        aspect=clean(alert.get("aspect"), 20),
        severity=severity(alert),
        text=text,
        seconds=lasted if lasted is not None and 0 <= lasted < 1e9 else None,
        checks=number(alert.get("checks")),
    )


def _shared_sentences(sentences: list[str], subject: str, aspect: object) -> list[str]:
    """The sentences about many links with this aspect (``60 veth links are down: ...``): first those that
    name this link.
    """
    shared = [s for s in sentences if (match := _SHARED.match(s)) and match["aspect"] == aspect]
    return sorted(shared, key=lambda s: subject not in re.split(r"[ ,]+", s.partition(": ")[2]))


def _of_sentence(sentence: str, of_report: str) -> Condition:
    for pattern, check in _SENTENCES:
        match = pattern.match(sentence)
        if match:
            groups = match.groupdict()
            subject, aspect = groups.get("subject", "host"), groups.get("aspect", "")
            return Condition(check, subject, aspect, of_report, sentence)
    return Condition("", "host", "", of_report, sentence)


def cause_of(condition: Condition, all_found: list[Condition]) -> Condition | None:
    """The finding that probably causes this one."""
    for check in _CAUSES.get(condition.check, ()):
        for other in all_found:
            both_of_interfaces = check in _OF_INTERFACES and condition.check in _OF_INTERFACES
            if other.check == check and (not both_of_interfaces or other.subject == condition.subject):
                return other
    return None


def lasting(condition: Condition) -> str:
    """``, for 2 min 30 s (6 checks)``; parts that are unknown are left out."""
    checks = f"{condition.checks:.0f} checks" if condition.checks and condition.checks > 1 else ""
    if condition.seconds is None or condition.seconds < 1:
        return f", for {checks}" if checks else ""
    return f", for {_duration(condition.seconds)}" + (f" ({checks})" if checks else "")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"
