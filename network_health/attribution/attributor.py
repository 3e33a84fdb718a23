"""Decides what to read for the culprits of a check, and keeps the data that the next check needs.

Guarantees: without a breach, only the byte counters of TCP sockets are read, as the setting
``process_network`` allows, and the drop counters of sockets whose limit is set. The sentence of a finding
is not changed; only its clause is added.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from network_health.alerting import peer_findings
from network_health.attribution import peak_culprits, retransmit_culprits
from network_health.attribution.call_lookups import Answers, CallLookups
from network_health.attribution.evidence import Culprits, address_text
from network_health.attribution.forwarded_lookups import ForwardedLookups
from network_health.attribution.improver import Attributed, Improver
from network_health.attribution.kept_answers import KeptAnswers
from network_health.attribution.lookup import CHECKS, SEARCH_S, Lookup
from network_health.attribution.loss_lookups import RETRANSMITS
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.namespace_lookups import NamespaceLookups
from network_health.attribution.rate_lookups import RATES
from network_health.attribution.sampling import SAMPLE_S, Sampling, has_few_sockets, resent_sample_s, sample
from network_health.attribution.traffic_window import Window
from network_health.model import Attribution, Finding, Snapshot
from network_health.settings import Settings
from network_health.sources.linux import OwnerFinder, read_descriptor_count, read_start_time, release_memory

#: A lookup ends by itself after this time, before it is left behind as a failure.
_MAX_S = 9.0

#: Findings that are reported with the traffic of each process.
_TRAFFIC_CHECKS = RATES.keys() | {"connections"}


class Attributor:
    """Finds culprits in the network namespace of the calling thread."""

    def __init__(self) -> None:
        self._owners = OwnerFinder()
        self._sampling = Sampling()
        self._call_lookups = CallLookups()
        self._losses = LossReadings.read()
        self._kept = KeptAnswers(read_start_time, read_descriptor_count)
        #: Each improves the result of those before it.
        self._improvers: tuple[Improver, ...] = (
            NamespaceLookups(self._owners, self._losses),
            ForwardedLookups(),
        )

    def attribute(
        self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
    ) -> Attributed | None:
        """The findings with their culprits, and the evidence; ``None`` if nothing had to be looked up.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        started_s = time.monotonic()
        try:
            found = self._attribute(findings, snapshot, settings)
        finally:
            self._losses.end_check(snapshot, settings)
        own = improved = found or (tuple(findings), Attribution())
        for improver in self._improvers:
            improved = improver.improved(improved, snapshot, settings, started_s)
        return found if improved is own else improved

    def close(self) -> None:
        """Stop receiving closed sockets."""
        self._sampling.close()

    def _attribute(
        self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
    ) -> Attributed | None:
        started_s = time.monotonic()
        window = self._sampling.since_last_check(snapshot, settings)
        peer_percent = None
        if window and settings.peer_retransmit_threshold_percent is not None:
            peer = retransmit_culprits.worst_peer(window.resent, window.traffic)
            peer_percent = peer.percent if peer else 0.0
            findings = (*findings, *_peer_findings(peer, settings))
        # The window has been read anyway, and is reported with the processes of this check.
        cheap = RATES.keys() | RETRANSMITS if window else frozenset[str]()
        due = self._kept.due(findings, settings.culprit_refresh_sec, started_s, cheap)
        checks = {finding.check for finding in due} & CHECKS
        active = {finding.check for finding in findings if finding.breached}
        rates = active & RATES.keys() if settings.process_network != "off" else set()
        if window is None and checks & (rates | RETRANSMITS):
            seconds = SAMPLE_S if not checks & RETRANSMITS else resent_sample_s(settings)
            window = sample(seconds, with_calls=settings.bpf and bool(checks & rates))
        is_reported = rates or (window and not window.is_sample and active & _TRAFFIC_CHECKS)
        traffic = window if is_reported or settings.process_network == "always" else None
        is_lookup = traffic is not None or bool(checks - RATES.keys())
        known = Attribution()
        if is_lookup:
            search_s = min(SEARCH_S, started_s + _MAX_S - time.monotonic())
            lookup = Lookup(self._owners, self._losses, snapshot, settings, traffic, window, search_s)
            answers, known = lookup.attribute(due)
            if traffic and settings.rate_basis == "peak":
                answers = list(_of_peaks(answers, snapshot, traffic))
            if settings.bpf and traffic and traffic.calls is None and not traffic.calls_failure:
                answers, known = self._with_calls(answers, known, lookup, findings, started_s)
            self._kept.keep(answers, started_s, cheap)
            if not has_few_sockets(snapshot):
                release_memory()
        findings, evidence = self._kept.applied(findings, started_s)
        if not is_lookup and not evidence and peer_percent is None:
            return None
        return findings, replace(known, evidence=evidence, peer_retransmit_percent=peer_percent)

    def _with_calls(
        self,
        answers: Answers,
        known: Attribution,
        lookup: Lookup,
        findings: Sequence[Finding],
        started_s: float,
    ) -> tuple[Answers, Attribution]:
        """The answers, with those of a sample of all sockets where TCP does not explain a rate."""

        def look_up(findings: Sequence[Finding]) -> tuple[Answers, Attribution]:
            window = sample(SAMPLE_S, with_calls=True)
            search_s = min(SEARCH_S, started_s + _MAX_S - time.monotonic())
            sampled = replace(lookup, window=window, resent_window=None, search_s=search_s)
            found, known = sampled.attribute(findings)
            return [each for each in found if _lasts(*each, window.seconds)], known

        due = self._kept.due(findings, lookup.settings.culprit_refresh_sec, started_s)
        return self._call_lookups.improved(answers, known, due, look_up)


def _lasts(finding: Finding, culprits: Culprits, seconds: float) -> bool:
    """Whether a rate, in Mbps, is not much lower in the sample: else it says nothing about its culprit."""
    return 2 * int(culprits[1]["bytes"]) * 8 / 1e6 >= finding.value * seconds


def _of_peaks(
    answers: Iterable[tuple[Finding, Culprits]], snapshot: Snapshot, traffic: Window
) -> Iterator[tuple[Finding, Culprits]]:
    averages: dict[tuple[str, str], float | None] = {}
    for each in snapshot.interfaces or ():
        averages["tx_rate", each.link.name], averages["rx_rate", each.link.name] = each.tx_mbps, each.rx_mbps
    for finding, culprits in answers:
        if finding.check in RATES:
            average_mbps = averages.get((finding.check, finding.subject))
            culprits = peak_culprits.of_peak(finding, culprits, average_mbps, traffic)
        yield finding, culprits


def _peer_findings(peer: retransmit_culprits.PeerLoss | None, settings: Settings) -> Iterator[Finding]:
    if peer:
        yield from peer_findings(address_text(peer.address), peer.percent, settings)
