"""When forwarded bytes are looked up, and how a clause has both: processes and what is forwarded."""

import time

import pytest

from network_health.attribution import forwarded_lookups
from network_health.attribution.forwarded_window import ForwardedWindow
from network_health.attribution.interface_paths import WAY_UNKNOWN, InterfacePaths
from network_health.attribution.interface_traffic import RoutedTraffic
from network_health.model import Attribution, Cost, Finding, Interface, IpCounters, Link, Snapshot
from network_health.settings import Settings
from network_health.sources.linux import ChangedRoutes

ETH0, ETH1 = Link("eth0", True, 2), Link("eth1", True, 3)
SNAPSHOT = Snapshot(0.0, (Interface(ETH0), Interface(ETH1)), None, None, (), Cost(0, {}, {}))
COUNTED = IpCounters((0, 0), 0, (0, 0), (0, 0), (0, 0), 980, 0, 0)
FORWARDED = "98% of packets forwarded"


def rate(culprit="", value=8.0):
    """The finding about eth0, which sends 8 Mbps."""
    text = f"eth0 outbound {value} Mbps > 1 Mbps"
    return Finding("tx_rate", "eth0", text, value, 1, culprit=culprit)


class Kernel:
    """A host that forwards 980 of the 1,000 packets of eth0, and counts no bytes of flows."""

    def __init__(self, monkeypatch, counted=COUNTED, error=None):
        self.samples, self.error = 0, error
        paths = InterfacePaths({2: ETH0, 3: ETH1})
        monkeypatch.setattr(forwarded_lookups.linux, "read_ip_counters", lambda: counted)
        monkeypatch.setattr(forwarded_lookups.forwarded_window, "sample", self.sample)
        monkeypatch.setattr(forwarded_lookups, "read_routed", lambda *_: RoutedTraffic(paths, {}))

    def sample(self, seconds):
        self.samples += 1
        if self.error:
            raise self.error
        carried, packets = {2: (10**6, 0), 3: (0, 0)}, {2: (1000, 0), 3: (0, 1000)}
        return ForwardedWindow(seconds, carried, packets, COUNTED, ChangedRoutes(), None, False)


def improved(found, findings=None, settings=None, lookups=None):
    """The clause of the only finding, the evidence about its interface, and the failure."""
    lookups = lookups or forwarded_lookups.ForwardedLookups()
    found = found or ((*(findings or [rate()]),), Attribution())
    result = lookups.improved(found, SNAPSHOT, settings or Settings(), time.monotonic())
    if result is found:
        return None
    (finding,), attribution = result
    (entry,) = attribution.evidence.get("tx_rate", [None])
    return finding.culprit, entry, attribution.failure


def host(culprit="", **entry):
    """What the lookups before have found."""
    found = {"iface": "eth0", "direction": "outbound", "bytes": 9, "processes": [], "coverage_percent": 0.0}
    return (rate(culprit),), Attribution({"tx_rate": [found | entry]})


@pytest.mark.parametrize(
    ("found", "clause"),
    [
        (None, f" ({FORWARDED})"),
        (host(), f" ({FORWARDED})"),
        (host(" (12% by app[7] to 10.0.0.9:80)"), f" (12% by app[7] to 10.0.0.9:80, {FORWARDED})"),
        (host(f" ({WAY_UNKNOWN})", note=WAY_UNKNOWN), f" ({FORWARDED}, {WAY_UNKNOWN})"),
        (
            host(f" (12% by app[7] to 10.0.0.9:80, {WAY_UNKNOWN})", note=WAY_UNKNOWN),
            f" (12% by app[7] to 10.0.0.9:80, {FORWARDED}, {WAY_UNKNOWN})",
        ),
        # The container is named already.
        (host(" (99% not TCP in web)", namespace="web"), " (99% not TCP in web)"),
    ],
)
def test_a_clause_has_processes_what_is_forwarded_and_the_note(monkeypatch, found, clause):
    """In this order; the evidence of the host stays, and has what is forwarded with its age."""
    Kernel(monkeypatch)
    culprit, entry, failure = improved(found)
    assert (culprit, failure) == (clause, "")
    before = found[1].evidence["tx_rate"][0] if found else entry | {"processes": [], "coverage_percent": 0.0}
    hint = "net.netfilter.nf_conntrack_acct=1 would name source and destination"
    forwarded = {"packets": 980, "percent_of_packets": 98.0, "hint": hint, "age_s": 0.0}
    assert entry == {"age_s": 0.0} | before | {"forwarded": forwarded}


@pytest.mark.parametrize(
    ("found", "settings", "counted"),
    [
        (host(coverage_percent=50.0), Settings(), COUNTED),
        (host(), Settings(process_network="off"), COUNTED),
        (host(), Settings(), COUNTED._replace(forwarded=0)),
        (host(), Settings(), None),
    ],
)
def test_nothing_is_sampled_without_need(monkeypatch, found, settings, counted):
    """Processes explain half of the rate, it is turned off, or this host never forwarded a packet."""
    kernel = Kernel(monkeypatch, counted)
    assert (improved(found, settings=settings), kernel.samples) == (None, 0)


def test_a_rate_that_has_fallen_has_no_answer(monkeypatch):
    """The sample has less than half of it; it is not repeated in the next check."""
    kernel, lookups = Kernel(monkeypatch), forwarded_lookups.ForwardedLookups()
    for _ in range(2):
        assert improved(None, [rate(value=16.1)], lookups=lookups) is None
    assert kernel.samples == 1


def test_an_error_is_kept(monkeypatch):
    """It is reported in each check; the sample is repeated when the rate has changed. Clauses stay."""
    kernel, lookups = (
        Kernel(monkeypatch, error=OSError(12, "no memory")),
        forwarded_lookups.ForwardedLookups(),
    )
    found = host(" (12% by app[7])")
    for _ in range(2):
        culprit, entry, failure = improved(found, lookups=lookups)
        assert (culprit, entry) == (" (12% by app[7])", found[1].evidence["tx_rate"][0])
        assert failure == "forwarded: OSError: [Errno 12] no memory"
        assert kernel.samples == 1
    kernel.error = None
    changed = (rate(" (12% by app[7])", 9.7),), found[1]
    assert improved(changed, lookups=lookups)[0] == f" (12% by app[7], {FORWARDED})"
