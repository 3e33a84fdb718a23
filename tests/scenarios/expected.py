"""What a report must say, and what it says of processes that did not do it. Pure.

Guarantees: a report that names a process for what it did not do has a ``false_culprit``, whatever is in it.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

#: The worst last. ``wrong`` names another culprit first or says something untrue, ``miscounted`` counts bytes
#: twice or not at all, ``misleading`` gives more than half to something that is not involved,
#: ``false_culprit`` gives a process more than `TOLERANCE` that it did not have.
RESULTS = ["right", "unnamed", "wrong", "miscounted", "misleading", "false_culprit"]
#: Not one run may have these.
NEVER = RESULTS[3:]
#: In percent of a finding's total.
TOLERANCE = 10

#: Nothing is said about the process that is named with it.
_UNCERTAIN = "another process"
_PROCESS = re.compile(r"[^\s(),]+\[\d+\]")
_PHRASE = re.compile(r"\d+% [^,()]+")
_NUMBER_OF_PACKETS = re.compile(r"(at least )?[\d,]+ (UDP datagrams|ICMP messages)/s")
_NUMBER_OF_OTHERS = re.compile(r"\d+ others?\b")
_RATE = re.compile(r"(\S+) (outbound|inbound) ")
#: By evidence of a rate.
_DIRECTIONS = ("tx_rate", "rx_rate")


@dataclass
class Expected:
    """What a finding must say: its first phrase has all words of ``first``, which is empty without a culprit.

    The words of ``involved`` may have a large share as well. ``shares`` are the largest true shares of
    processes; those of ``first`` and ``involved`` that are not in it may have all. ``says`` and ``never`` are
    texts that the finding must have, or must not have.
    """

    finding: str
    first: tuple[str, ...]
    involved: set[str] = field(default_factory=set)
    shares: dict[str, float] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def allows(self, phrase):
        """Whether a phrase names only what is involved."""
        words = [word.strip(",") for word in _NUMBER_OF_OTHERS.sub("", phrase).split()[1:]]
        named = [word for word in words if any(c.isdigit() for c in word)]
        return {*self.involved, *self.first, *self.shares}.issuperset(named)

    def share_of(self, process):
        """The largest true share of a process, in percent."""
        return self.shares.get(process, 100 if process in {*self.first, *self.involved} else 0)


@dataclass
class Moved:
    """The bytes that processes moved, by (link, direction, process), and those that each link carried."""

    bytes_of: Counter = field(default_factory=Counter)
    carried: dict = field(default_factory=dict)

    def share_of(self, link, direction, process):
        """The true share of a process in percent of what the link carried."""
        carried = self.carried.get(link, {}).get(direction, 0)
        return 100 * self.bytes_of[link, direction, process] / carried if carried else 0


def text_of(worker):
    """A process as reports name it."""
    return f"{worker.name}[{worker.pid}]"


def classify(details, expected):
    """One of `RESULTS`, for one finding."""
    findings = [finding for finding in details.split("; ") if finding.startswith(expected.finding)]
    if not findings:
        return "unnamed"
    finding = findings[0]
    if any(text in finding for text in expected.never):
        return "wrong"
    phrases = _phrases(finding)
    if not phrases:
        return "unnamed" if expected.first or expected.says else "right"
    if any(_percent(phrase) > 50 and not expected.allows(phrase) for phrase in phrases):
        return "misleading"
    if any(text not in finding for text in expected.says):
        return "unnamed"
    return "right" if all(word in phrases[0].split() for word in expected.first) else "wrong"


def false_culprits(content, expected, moved):
    """The phrases and the entries of evidence that give a process more than it had."""
    found = []
    for finding in content["details"].split("; "):
        rate = _RATE.match(finding)
        own = [each for each in expected if finding.startswith(each.finding)]
        for phrase in _phrases(finding):
            names = () if _UNCERTAIN in phrase else _PROCESS.findall(phrase)
            had = sum(_share(name, rate, own, moved) for name in names)
            if "others" in phrase:
                had += sum(each.share_of(name) for each in own for name in each.shares if name not in names)
            if names and _percent(phrase) - had > TOLERANCE:
                found.append(f"{phrase.strip()} (true: {had:.0f}%) in {finding!r}")
    for check in _DIRECTIONS:
        for entry in content["metrics"].get("culprits", {}).get(check, ()):
            found += _false_in_evidence(entry, moved)
    return found


def miscounted(content, moved, counted_links):
    """What is wrong with the bytes of all processes: their sum must be what ``counted_links`` carried."""
    entries = content["metrics"].get("top_network", ())
    found = []
    for direction, key in (("outbound", "net_tx_bytes"), ("inbound", "net_rx_bytes")):
        said = sum(each[key] for each in entries)
        carried = sum(moved.carried.get(link, {}).get(direction, 0) for link in counted_links)
        if entries and abs(said - carried) > carried / TOLERANCE + 20_000:
            found.append(f"all {direction}: {said} bytes, carried were {carried}")
    return found


def _false_in_evidence(entry, moved):
    for process in entry.get("processes", ()):
        if process.get("pid") is None or _is_uncertain(process):
            continue
        names = [f"{each.get('name')}[{each['pid']}]" for each in (process, *process.get("shared_with", ()))]
        had = sum(moved.share_of(entry["iface"], entry["direction"], name) for name in names)
        if process["percent"] - had > TOLERANCE:
            where = f"{entry['iface']} {entry['direction']}"
            yield f"evidence: {process['percent']}% {names} (true: {had:.0f}%) on {where}"


def _is_uncertain(process):
    return any(each["name"] == _UNCERTAIN for each in process.get("shared_with", ()))


def _share(name, rate, own, moved):
    if rate:
        return moved.share_of(rate[1], rate[2], name)
    return max((each.share_of(name) for each in own), default=0)


def _phrases(finding):
    clause = finding.rpartition(" (")[2] if finding.endswith(")") else ""
    return _PHRASE.findall(_NUMBER_OF_PACKETS.sub("packets", clause))


def _percent(phrase):
    return int(phrase.partition("%")[0])
