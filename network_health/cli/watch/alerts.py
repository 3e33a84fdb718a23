"""Formats the active alerts and the failures of a report for the top of the live view. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from network_health.cli.watch.layout import Block, heights, wrapped
from network_health.cli.watch.theme import ALERT, DIM, Theme
from network_health.reporting import Content

#: At most this many culprits of a kind are named.
_MAX_CULPRITS = 3
#: Kinds of culprits that name processes come first; the table of connections shows the states.
_FIRST_KINDS, _OMITTED_KINDS = ("owners", "processes"), ("states",)
#: A sentence about more than three links, and the name of the first one.
_SHARED = re.compile(r"\d+ (?:\S+ )?links (?:are|were) \w+: (?P<first>\S+), ")
_OF_ONE_LINK = re.compile(r"(?P<name>\S+) (?:is|was) ")
_MARKERS = {"WARNING": ("!", ALERT), "CRITICAL": ("!!", "bold red")}
#: A narrower screen shows an alert without its age.
_MIN_WIDTH_FOR_AGE = 30


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert or a failure; ``culprits`` is a line with their shares."""

    sentence: str
    severity: str = "WARNING"
    age_s: float | None = None
    culprits: str = ""


def notices(content: Content) -> list[Notice]:
    """The notices of a report's content, CRITICAL first."""
    metrics = content["metrics"]
    culprits = metrics.get("culprits", {})
    alerts = metrics.get("alerts", ())
    sentences = content["details"].split("; ") if alerts else []
    matched = list(_matched(sentences, alerts))
    if len(matched) == len(sentences):
        found = [
            Notice(sentence, alert["severity"], alert["lasted_s"], _line(alert, culprits))
            for sentence, alert in matched
        ]
    else:  # a name in them contains "; "
        found = [Notice(content["details"], content["severity"])]
    found += [
        Notice(f"Check of {failure['collector']} failed: {failure['reason']}")
        for failure in metrics.get("failures", ())
    ]
    if "failure" in culprits:
        found.append(Notice(f"Culprits are not known: {culprits['failure']}"))
    return sorted(found, key=lambda notice: notice.severity != "CRITICAL")


def _matched(sentences: Sequence[str], alerts: Sequence[Content]) -> Iterator[tuple[str, Content]]:
    """Each sentence with its alert; one that many links share with the first of them.

    Both have the same order, but the alerts of links that share a sentence do not stand together.
    """
    shared = {match["first"] for text in sentences if (match := _SHARED.match(text))}
    if shared:
        named = {match["name"] for text in sentences if (match := _OF_ONE_LINK.match(text))} | shared
        alerts = [a for a in alerts if a["check"] != "link" or a["subject"] in named]
    if len(sentences) == len(alerts):
        yield from zip(sentences, alerts, strict=True)


def block(found: Sequence[Notice], width: int, height: int, theme: Theme) -> Block:
    """The notices as a block: the first one complete, if ``height`` allows it.

    Each of the others gets one line before other blocks get any, up to half of the screen.
    """
    sentences = [_sentence_lines(notice, width, theme) for notice in found]
    culprits = [_culprit_lines(notice, width, theme) for notice in found]
    first = len(sentences[0]) if found else 0
    return Block(
        min(max(first, min(first + len(found) - 1, height // 2)), height),
        sum(map(len, sentences + culprits)),
        lambda lines: _draw(sentences, culprits, lines, theme),
    )


def _draw(
    sentences: Sequence[list[Text]], culprits: Sequence[list[Text]], height: int, theme: Theme
) -> list[Text]:
    blocks = {str(i): Block.of(lines, 1 if i else height) for i, lines in enumerate(sentences)}
    given = list(heights(blocks, height).values())
    left = height - sum(given)
    drawn = []
    for lines, more, count in zip(sentences, culprits, given, strict=True):
        drawn += lines[:count]
        if 0 < count < len(lines):
            drawn[-1] = drawn[-1].copy().append(theme.ellipsis)
        drawn += more[:left]
        left -= len(more[:left])
    return drawn


def _sentence_lines(notice: Notice, width: int, theme: Theme) -> list[Text]:
    marker, style = _MARKERS.get(notice.severity, _MARKERS["WARNING"])
    first = f"{marker} "
    if width >= _MIN_WIDTH_FOR_AGE:
        first = f"{marker:<2} {'' if notice.age_s is None else age(notice.age_s):>4} "
    return _wrapped(theme.printable(notice.sentence), width, first, style)


def _culprit_lines(notice: Notice, width: int, theme: Theme) -> list[Text]:
    """One line, cropped, or none."""
    lines = _wrapped(theme.printable(notice.culprits), width, "", DIM)
    return lines if len(lines) < 2 else [lines[0].append(theme.ellipsis)]


def _wrapped(text: str, width: int, first: str, style: str) -> list[Text]:
    if not text:
        return []
    indent = " " * (8 if width >= _MIN_WIDTH_FOR_AGE else 0)
    # One column is left free for the ellipsis.
    rows = wrapped(text.split(" "), max(width - max(len(first), len(indent)) - 1, 1))
    return [Text((indent if i else first or indent) + row, style) for i, row in enumerate(rows)]


def age(seconds: float) -> str:
    """A duration in at most five characters: ``45s``, ``12m``, ``5h07``, ``3d``."""
    whole = max(int(seconds), 0)
    if whole < 100:
        return f"{whole}s"
    if whole < 6000:
        return f"{whole // 60}m"
    if whole < 100 * 3600:
        return f"{whole // 3600}h{whole // 60 % 60:02}"
    return f"{whole // 86400}d"


def _line(alert: Content, culprits: Content) -> str:
    """The culprits of an alert with their shares: ``owners nginx[7] 81%, app[9] 5%; ports :80 81%``."""
    found = culprits.get(alert["check"], {})
    if isinstance(found, Sequence):
        found = next((each for each in found if each.get("iface") == alert["subject"]), {})
    return "; ".join(_kinds(found))


def _kinds(found: Content) -> Iterator[str]:
    kinds = [item for item in found.items() if item[0] not in _OMITTED_KINDS]
    for kind, entries in sorted(kinds, key=lambda item: item[0] not in _FIRST_KINDS):
        if isinstance(entries, Sequence) and not isinstance(entries, str):
            shares = [
                f"{_name(entry)} {entry['percent']:.0f}%" for entry in entries if entry.get("percent", 0) >= 1
            ]
            if len(shares) > 1:  # the sentence names a single one
                yield f"{kind} {', '.join(shares[:_MAX_CULPRITS])}"
        elif isinstance(entries, Mapping):
            yield f"{kind} {', '.join(f'{name} {value}' for name, value in entries.items())}"


def _name(entry: Content) -> str:
    port = f":{entry['port']}" if entry.get("port") else ""
    parts = [f"{entry.get('address', '')}{port}"] if port or entry.get("address") else []
    if entry.get("name"):
        parts.append(f"{entry['name']}[{entry['pid']}]")
    return " ".join(parts or [str(entry.get("state") or "unattributed")])
