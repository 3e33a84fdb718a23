"""Tests of the protocol metrics: comparing two readings, limits, and parsing of the kernel's files."""

import runpy
import struct
from collections import Counter
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Monitor, Settings
from network_health.alerting.protocol_limits import is_known, protocol_findings
from network_health.collectors.collector import MIN_WINDOW_S
from network_health.collectors.protocols import observe_protocols
from network_health.model import PortUse, ProtocolCounters, ProtocolReading, Protocols, Share, SoftnetCounters
from network_health.reporting.builder import protocol_metrics
from network_health.sources.linux import ephemeral_ports, proc_net, sysctl
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.protocols import counters
from network_health.sources.readers import PORTABLE
from tests.tree import FIXTURES, ROOT

NAMES = [field.name for field in fields(ProtocolCounters)]
START = ProtocolReading(100.0, ProtocolCounters(*[1000] * len(NAMES)), {0: SoftnetCounters(10, 20)})


def later(seconds=10.0, softnet=None, **added):
    """`START` after ``seconds``, with ``added`` events."""
    values = {name: getattr(START.counters, name) + count for name, count in added.items()}
    return ProtocolReading(START.at_s + seconds, replace(START.counters, **values), softnet or START.softnet)


def recorded(name, kernel=""):
    return (FIXTURES / kernel / "protocols" / name).read_text()


# Two readings


def test_events_over_seconds_are_rates():
    """Each counter has its own rate; the retransmit share is of the segments in the window."""
    added = {name: 10 * number for number, name in enumerate(NAMES, start=1)}
    softnet = {0: SoftnetCounters(30, 60)}
    assert observe_protocols(START, later(10.0, softnet, **{**added, "out_segments": 4000})) == Protocols(
        out_segments_per_sec=400.0,
        retransmit_percent=0.5,
        listen_overflows_per_sec=3.0,
        listen_drops_per_sec=4.0,
        syn_cookies_sent_per_sec=5.0,
        syn_queue_full_cookies_per_sec=6.0,
        syn_queue_full_drops_per_sec=7.0,
        udp_receive_buffer_errors_per_sec=8.0,
        udp_send_buffer_errors_per_sec=9.0,
        softnet_dropped_per_sec=2.0,
        softnet_squeezed_per_sec=4.0,
        softnet_dropped_by_cpu={0: 20},
        softnet_squeezed_by_cpu={0: 40},
        window_s=10.0,
    )


@pytest.mark.parametrize(
    ("sent", "again", "percent"),
    [
        (1000, 0, 0.0),
        (1000, 20, 2.0),
        (1000, 34, 3.4),
        (999, 500, None),
        (0, 0, None),
        (1000, 2500, 250.0),
        (3000, 1, 0.03),
    ],
)
def test_retransmits_need_100_segments_a_second(sent, again, percent):
    """With fewer segments the share is unknown; if segments are sent again repeatedly, it exceeds 100 %."""
    after = later(10.0, out_segments=sent, retransmitted_segments=again)
    assert observe_protocols(START, after).retransmit_percent == percent


def test_a_counter_that_went_back_has_no_rate():
    """A counter that wrapped or was reset has no rate in that window; the others have one."""
    seen = observe_protocols(START, later(listen_overflows=-1, listen_drops=5))
    assert (seen.listen_overflows_per_sec, seen.listen_drops_per_sec) == (None, 0.5)
    assert observe_protocols(START, later(out_segments=-1)).retransmit_percent is None
    assert (
        observe_protocols(START, later(out_segments=5000, retransmitted_segments=-1)).retransmit_percent
        is None
    )


@pytest.mark.parametrize("missing", ["before", "after"])
def test_a_counter_that_a_kernel_lacks_has_no_rate(missing):
    """A counter that is unknown in one reading has an unknown rate, not 0."""
    after = later(listen_drops=5)
    without = replace((START if missing == "before" else after).counters, syn_cookies_sent=None)
    before = replace(START, counters=without) if missing == "before" else START
    after = replace(after, counters=without) if missing == "after" else after
    seen = observe_protocols(before, after)
    assert (seen.syn_cookies_sent_per_sec, seen.listen_drops_per_sec) == (None, 0.5)


@pytest.mark.parametrize(
    ("before", "after", "dropped", "squeezed"),
    [
        ({0: (10, 20), 1: (0, 0)}, {0: (11, 20), 1: (4, 10)}, 0.5, 1.0),
        ({0: (10, 20)}, {0: (10, 20), 1: (5000, 5000)}, 0.0, 0.0),
        ({0: (10, 20), 1: (5000, 5000)}, {0: (11, 20)}, 0.1, 0.0),
        ({0: (10, 2**32 - 1)}, {0: (20, 3)}, 1.0, None),
        ({}, {}, None, None),
        ({0: (1, 1)}, {1: (2, 2)}, None, None),
    ],
    ids=["summed", "came-online", "went-offline", "wrapped", "no-file", "all-swapped"],
)
def test_softnet_counts_only_cpus_in_both_readings(before, after, dropped, squeezed):
    """A CPU that comes online keeps its old counts, which are not of this window."""
    then = replace(START, softnet={cpu: SoftnetCounters(*c) for cpu, c in before.items()})
    seen = observe_protocols(
        then, later(10.0, {cpu: SoftnetCounters(*c) for cpu, c in after.items()} or None)
    )
    if after:
        assert (seen.softnet_dropped_per_sec, seen.softnet_squeezed_per_sec) == (dropped, squeezed)
    else:
        seen = observe_protocols(then, replace(later(), softnet={}))
        assert (seen.softnet_dropped_per_sec, seen.softnet_squeezed_per_sec) == (None, None)


@pytest.mark.parametrize("before", [None, later(0.0), later(-1.0), later(-MIN_WINDOW_S / 2)])
def test_without_a_window_only_shares_are_known(before):
    """The first reading, or one right after another, has no rates, but it has shares."""
    after = replace(START, conntrack=Share(1, 4), orphans=Share(0, 9))
    if before and before.at_s < START.at_s - MIN_WINDOW_S:
        after = replace(after, at_s=before.at_s)
    assert observe_protocols(before, after) == Protocols(conntrack=Share(1, 4), orphans=Share(0, 9))
    assert observe_protocols(before, replace(START, has_limits=False)).has_limits is False


counts = st.one_of(st.none(), st.integers(0, 2**64))
readings = st.builds(
    ProtocolReading,
    at_s=st.floats(0, 1e6),
    counters=st.builds(ProtocolCounters, *[counts] * len(NAMES)),
    softnet=st.dictionaries(
        st.integers(0, 3), st.builds(SoftnetCounters, st.integers(0, 2**32), st.integers(0, 2**32))
    ),
)


@given(readings, readings)
def test_no_two_readings_make_a_negative_rate(before, after):
    """For any counters a rate is unknown or at least 0."""
    seen = observe_protocols(before, after)
    rates = [getattr(seen, f.name) for f in fields(seen) if not f.name.endswith("_by_cpu")]
    counts = [*seen.softnet_dropped_by_cpu.values(), *seen.softnet_squeezed_by_cpu.values()]
    assert all(v is None or v >= 0 for v in rates + counts)


# Limits

BUSY = Protocols(
    retransmit_percent=3.4,
    listen_overflows_per_sec=5.2,
    listen_drops_per_sec=5.3,
    syn_cookies_sent_per_sec=40.1,
    syn_queue_full_drops_per_sec=41.0,
    udp_receive_buffer_errors_per_sec=12.4,
    udp_send_buffer_errors_per_sec=12.5,
    softnet_dropped_per_sec=11.0,
    softnet_squeezed_per_sec=12.0,
    conntrack=Share(812, 1000),
    orphans=Share(26, 100),
    tcp_memory=Share(91, 100),
    busiest_ports=PortUse("fd00::1", "fd00::2", 443, Share(9, 10)),
)
LIMITS = {
    "retransmit_threshold_percent": 2,
    "listen_overflow_threshold_per_sec": 1,
    "listen_drop_threshold_per_sec": 2,
    "syn_queue_threshold_per_sec": 1.5,
    "udp_error_threshold_per_sec": 10,
    "softnet_threshold_per_sec": 10,
    "conntrack_threshold_percent": 75,
    "orphan_threshold_percent": 25,
    "tcp_memory_threshold_percent": 90,
    "ephemeral_port_threshold_percent": 80,
}
SENTENCES = {
    "retransmits": "TCP retransmits 3.4% > 2%",
    "listen_overflows": "Listen queue overflows 5.2/s > 1/s",
    "listen_drops": "Listen drops 5.3/s > 2/s",
    "syn_cookies": "SYN cookies sent 40.1/s > 1.5/s",
    "syn_queue_drops": "SYN queue drops 41.0/s > 1.5/s",
    "udp_receive": "UDP receive buffer errors 12.4/s > 10/s",
    "udp_send": "UDP send buffer errors 12.5/s > 10/s",
    "softnet_dropped": "Softnet drops 11.0/s > 10/s",
    "softnet_squeezed": "Softnet squeezes 12.0/s > 10/s",
    "conntrack": "Conntrack table 81.2% > 75%",
    "orphans": "Orphaned TCP sockets 26.0% > 25%",
    "tcp_memory": "TCP memory 91.0% > 90%",
    "ephemeral_ports": "Ephemeral ports from fd00::1 to [fd00::2]:443 90.0% > 80%",
}


def found(protocols, limits):
    return list(protocol_findings(protocols, Settings.from_mapping(limits)))


def test_every_breach_has_its_sentence():
    """Each metric above its limit is a finding that names the metric, its value and the limit."""
    findings = found(BUSY, LIMITS)
    assert {finding.check: finding.text for finding in findings} == SENTENCES
    assert len(findings) == len(SENTENCES)
    assert {finding.subject for finding in findings} == {"host"}
    assert findings[0].value == 3.4
    assert findings[0].limit == 2


def test_all_limits_are_off_by_default():
    """Without configured limits there are no such findings."""
    assert found(BUSY, {}) == []


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_applies_to_its_own_metrics_alone(limit):
    """One limit alone gives exactly the findings that it gives among all limits."""
    alone = found(BUSY, {limit: LIMITS[limit]})
    assert alone
    rest = found(BUSY, {other: value for other, value in LIMITS.items() if other != limit})
    assert sorted(f.check for f in alone + rest) == sorted(SENTENCES)


def test_equal_is_not_a_breach_and_unknown_neither():
    """An equal value, an unknown one, and a resource that does not exist breach nothing."""
    at_limit = Protocols(
        retransmit_percent=2.0, listen_overflows_per_sec=1.0, conntrack=Share(3, 4), orphans=Share(1, 4)
    )
    assert found(at_limit, LIMITS) == []
    assert found(Protocols(), dict.fromkeys(LIMITS, 0)) == []
    assert found(None, LIMITS) == []


def test_unknown_differs_from_quiet():
    """A window without a rate resolves no alert; too few segments, or a table that does not exist, may."""
    nothing, quiet = Protocols(), Protocols(out_segments_per_sec=5.0)
    rates = set(SENTENCES) - {"conntrack", "orphans", "tcp_memory", "ephemeral_ports"}
    assert {check for check in SENTENCES if not is_known(check, nothing)} == rates
    hidden = Protocols(out_segments_per_sec=5.0, has_limits=False)
    assert not any(is_known(check, hidden) for check in SENTENCES.keys() - rates)
    assert is_known("retransmits", quiet)
    assert all(is_known(check, replace(BUSY, out_segments_per_sec=500.0)) for check in SENTENCES)


def test_the_report_distinguishes_unknown_from_missing():
    """An unknown rate is null; a table that does not exist, or was not requested, has no key."""
    nothing = protocol_metrics(Protocols())
    assert set(nothing.values()) == {None}
    assert set(nothing) == {f.name for f in fields(Protocols) if f.name.endswith(("_percent", "_per_sec"))}
    metrics = protocol_metrics(BUSY)
    assert metrics["conntrack"] == {"used": 812, "limit": 1000, "percent": 81.2}
    assert metrics["ephemeral_ports"] == {
        "local": "fd00::1",
        "remote": "fd00::2",
        "remote_port": 443,
        "used": 9,
        "limit": 10,
        "percent": 90.0,
    }  # fmt: skip - one route, one line


# The monitor


def with_protocols(read):
    return replace(PORTABLE, protocols=read)


def test_a_system_without_such_metrics_is_no_failure():
    """Off Linux there is no fourth collector: no metrics, no cost, no failure."""
    report = Monitor(readers=[PORTABLE]).check()
    assert "protocols" not in report.metrics
    assert set(report.metrics["check"]["collectors"]) == {"interfaces", "connections", "processes"}
    assert "failures" not in report.metrics


def test_a_denied_reading_is_a_failure_of_its_own():
    """A source that exists but denies access fails this collector alone."""

    def deny(_with_ports):
        raise PermissionError(13, "Permission denied", "/proc/net/snmp")

    report = Monitor(readers=[with_protocols(deny)]).check()
    (failure,) = report.metrics["failures"]
    assert failure["collector"] == "protocols"
    assert "PermissionError" in failure["reason"]
    assert "protocols" not in report.metrics
    assert "interfaces" in report.metrics


def test_a_failed_reading_leaves_a_longer_window():
    """The window after a failure starts at the last successful reading."""
    answers = [START, OSError("no"), later(20.0, listen_drops=40)]

    def read(_with_ports):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monitor = Monitor(readers=[with_protocols(read)])
    assert monitor.check().metrics["failures"]
    assert monitor.check().metrics["protocols"]["listen_drops_per_sec"] == 2.0


def test_ports_are_counted_only_if_their_limit_is_set():
    """All sockets are listed only if the limit is set, from the next check on."""
    options = []

    def read(with_ports):
        options.append(with_ports)
        return START

    monitor = Monitor(readers=[with_protocols(read)])
    monitor.check()
    monitor.settings = Settings.from_mapping({"ephemeral_port_threshold_percent": 80})
    monitor.check()
    assert options == [False, False, True]


# The kernel's files


def test_the_recorded_files_give_these_counters():
    """The recording has 38 overflows, 436 lost datagrams over IPv4 and IPv6, and 195 SYN cookies."""
    tables = proc_net.parse_tables(recorded("snmp") + recorded("netstat"))
    assert counters(tables, proc_net.parse_snmp6(recorded("snmp6"))) == ProtocolCounters(
        out_segments=248,
        retransmitted_segments=0,
        listen_overflows=38,
        listen_drops=38,
        syn_cookies_sent=195,
        syn_queue_full_cookies=195,
        syn_queue_full_drops=0,
        udp_receive_buffer_errors=436,
        udp_send_buffer_errors=0,
    )
    tcp = proc_net.parse_sockstat(recorded("sockstat"))["TCP"]
    assert tcp == {"inuse": 0, "orphan": 0, "tw": 0, "alloc": 18001, "mem": 190}


def test_softnet_is_read_with_and_without_cpu_numbers():
    """Since Linux 5.10 a line has its CPU number; before, the line number is used."""
    lines = recorded("softnet_stat").splitlines()
    assert set(proc_net.parse_softnet("\n".join(lines))) == {0, 1}
    assert set(proc_net.parse_softnet(lines[1])) == {1}
    old = proc_net.parse_softnet(recorded("softnet_stat", "linux-4.4"))
    assert old == {0: SoftnetCounters(7, 43), 1: SoftnetCounters(0, 2**32 - 1)}


def test_udp_counts_are_sums():
    """UDP and UDP-Lite over IPv4 and IPv6 are added, as far as the kernel has them."""
    tables = {"Udp": {"RcvbufErrors": 1}, "UdpLite": {"RcvbufErrors": 10}}
    six = {"Udp6RcvbufErrors": 100, "UdpLite6RcvbufErrors": 1000}
    assert counters(tables, six).udp_receive_buffer_errors == 1111
    assert counters({"Udp": {"RcvbufErrors": 1}}, {}).udp_receive_buffer_errors == 1
    assert counters({}, {}) == ProtocolCounters()


def test_names_without_values_are_no_counters():
    """If a kernel gives only the names, as an emulated one may, there are no counters."""
    assert proc_net.parse_tables("TcpExt: ListenDrops\n") == {}


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (proc_net.parse_tables, "Tcp: OutSegs RetransSegs\nTcp: 1\n"),
        (proc_net.parse_tables, "Tcp: OutSegs\nTcp: many\n"),
        (proc_net.parse_snmp6, "Udp6RcvbufErrors\n"),
        (proc_net.parse_snmp6, "Udp6RcvbufErrors x\n"),
        (proc_net.parse_sockstat, "TCP: inuse 1 orphan\n"),
        (proc_net.parse_softnet, "00000001 00000000\n"),
        (proc_net.parse_softnet, "00000001 0000000g 00000000\n"),
        (lambda text: sysctl.parse_numbers("ipv4/tcp_mem", text), ""),
        (lambda text: sysctl.parse_numbers("ipv4/tcp_mem", text), "1 two 3"),
    ],
)
def test_an_unknown_format_is_an_error_with_its_file(parse, text):
    """A file in an unknown format raises an error that names the file."""
    with pytest.raises(KernelFormatError, match="/proc/"):
        parse(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_no_text_breaks_a_parser(text):
    """Any text is parsed or raises the documented error."""
    for parse in (
        proc_net.parse_tables,
        proc_net.parse_snmp6,
        proc_net.parse_sockstat,
        proc_net.parse_softnet,
    ):
        try:
            parse(text)
        except KernelFormatError:
            continue


def test_a_missing_file_is_not_an_error():
    """A file or a limit that this kernel does not have is empty or ``None``."""
    assert proc_net.read_net("no_such_file") == ""
    assert sysctl.read_numbers("netfilter/no_such_limit") is None


# Ephemeral ports

V4, V6 = 2, 10


def route(family, local, remote, port):
    addresses = [bytes(a).ljust(16, b"\0") for a in (local, remote)]
    return family, struct.pack("!H", port) + b"".join(addresses)


def message(of, kind=18, extra=b""):
    family, ends = of
    body = struct.pack("!BBBBH", family, 1, 0, 0, 40000) + ends + bytes(32) + extra
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


END = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)
NEAR, FAR = (10, 0, 0, 1), (10, 0, 0, 2)
MAPPED = (0,) * 10 + (255, 255)


def test_sockets_are_counted_by_route():
    """The datagram has three sockets to one remote, one to another port of it, and the end of the dump."""
    https, http = route(V4, NEAR, FAR, 443), route(V4, NEAR, FAR, 80)
    counted = Counter()
    datagram = b"".join(map(message, [https, http, https])) + message(https, extra=bytes(8))
    assert not ephemeral_ports.count_routes(datagram, counted)
    assert counted == {https: 3, http: 1}
    assert ephemeral_ports.count_routes(message(http) + END, counted)
    assert ephemeral_ports.busiest(counted, 10) == PortUse("10.0.0.1", "10.0.0.2", 443, Share(3, 10))


def test_an_ipv4_connection_of_an_ipv6_socket_takes_the_same_ports():
    """``::ffff:10.0.0.2`` is 10.0.0.2: its sockets are added to those of IPv4."""
    counted = {
        route(V4, NEAR, FAR, 443): 2,
        route(V6, MAPPED + NEAR, MAPPED + FAR, 443): 3,
        route(V6, (0xFD, *[0] * 14, 1), (0xFD, *[0] * 14, 2), 443): 4,
    }
    assert ephemeral_ports.busiest(counted, 10) == PortUse("10.0.0.1", "10.0.0.2", 443, Share(5, 10))


def test_another_local_address_has_ports_of_its_own():
    """Each local address can use every port for one remote."""
    counted = {route(V4, NEAR, FAR, 443): 4, route(V4, (10, 0, 0, 9), FAR, 443): 5}
    assert ephemeral_ports.busiest(counted, 10) == PortUse("10.0.0.9", "10.0.0.2", 443, Share(5, 10))
    assert ephemeral_ports.busiest({}, 10) is None


@pytest.mark.parametrize(
    "datagram",
    [message(route(V4, NEAR, FAR, 1))[:60], message(route(V4, NEAR, FAR, 1), kind=20), b"\1", b""],
    ids=["cut", "other-kind", "no-header", "empty"],
)
def test_a_damaged_dump_is_refused(datagram):
    """Lengths and kinds are checked before they are trusted."""
    with pytest.raises(KernelFormatError):
        ephemeral_ports.count_routes(datagram, Counter())


def test_a_denied_dump_is_an_os_error():
    """The error has the kernel's error number."""
    denied = struct.pack("=IHHIIi16x", 36, 2, 0, 1, 0, -13)
    with pytest.raises(PermissionError):
        ephemeral_ports.count_routes(denied, Counter())


# The documentation

PAGE = (ROOT / "docs" / "protocol-health.md").read_text()


def rows(table):
    """The cells of each row of a table of the page, without its head."""
    lines = PAGE.partition(f"<!-- {table} -->\n")[2].partition(f"<!-- /{table} -->")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_metric_is_documented():
    """The page lists the metrics of a report, in the same order."""
    assert [row[0].strip("`") for row in rows("figures")] == list(protocol_metrics(BUSY))


def test_the_recommended_limits_are_the_directives():
    """The page, the directive and the settings have the same limits with the same values."""
    tree = runpy.run_path(str(ROOT / "directives" / "network_health_recommended.py"))["matrix_directive"]
    (config,) = [node["config"] for node in tree["children"] if node["name"] == "network_health"]
    recommended = {row[0].strip("`"): float(row[1]) for row in rows("limits")}
    assert recommended == {name: config[name] for name in LIMITS}
    limits = {f.name for f in fields(Settings) if f.default is None and "threshold" in f.name}
    assert set(recommended) == limits - {"peer_retransmit_threshold_percent", "container_conn_threshold"}


def test_each_limit_applies_to_its_documented_metrics():
    """With one limit at 0 and one documented metric above it, there is one finding."""
    for setting, _, metrics, _ in rows("limits"):
        for metric in metrics.replace("`", "").split(", "):
            field = "busiest_ports" if metric == "ephemeral_ports" else metric
            only = Protocols(**{field: getattr(BUSY, field)})
            assert len(found(only, {setting.strip("`"): 0})) == 1, metric
