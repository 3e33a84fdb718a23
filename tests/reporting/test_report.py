"""Complete reports of a simulated host equal the golden files.

``python -m tests.reporting.test_report`` writes the files.
"""

import json
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Monitor, SettingsOutcome
from network_health.attribution.attributor import Attributor
from network_health.model import (
    Connections,
    Counters,
    Link,
    LinkReading,
    PortUse,
    ProcessDetails,
    ProcessReading,
    ProcessSample,
    ProtocolCounters,
    ProtocolReading,
    Share,
    SoftnetCounters,
)
from network_health.sources.readers import Readers
from tests.fake_kernel import FakeKernel, patched_by

GOLDEN = Path(__file__).parent / "golden"
CONFIG = {
    "tx_threshold_mbps": 250,
    "conn_threshold": 2000,
    "top_n_procs": 2,
    "retransmit_threshold_percent": 2,
}
#: Enables every check that names culprits.
CULPRIT_CONFIG = {
    "tx_threshold_mbps": 250,
    "conn_threshold": 2000,
    "top_n_procs": 2,
    "process_network": "always",
    "listen_overflow_threshold_per_sec": 10,
    "conntrack_threshold_percent": 20,
    "ephemeral_port_threshold_percent": 1,
    "culprit_refresh_sec": 1,
}

LO = Link("lo", True, 1, None, ("127.0.0.1",), ("::1",), Counters(), 65536, "", "unknown", 0)
ETH0 = Link(
    *("eth0", True, 2, 1000, ("10.0.0.5", "10.0.0.6"), ("fe80::1",)),
    *(Counters(10**9, 10**9, 10**6, 10**6, 1, 0, 2, 0), 1500, "", "up", 1),
)
BUSY = ProcessSample(4321, "rsync", 5000.0, 100.0, 64 * 1024**2)
IDLE = ProcessSample(17, "nginx", 300.0, 7.0, 128 * 1024**2)
QUIET = ProtocolCounters(*[1000] * len(fields(ProtocolCounters)))


class Host:
    """The results of the readers, and the clock of the whole test."""

    def __init__(self):
        self.clock_s = 1000.0
        self.links = (LO, ETH0)
        self.by_status = {"ESTABLISHED": 120, "LISTEN": 14, "TIME_WAIT": 30, "NONE": 9}
        self.processes = (BUSY, IDLE)
        self.protocols = QUIET
        self.refused = False

    def read_processes(self):
        if self.refused:
            raise PermissionError(13, "Permission denied", "/proc")
        return ProcessReading(self.clock_s, self.processes)

    def read_routes(self):
        routes = PortUse("10.0.0.5", "10.0.0.9", 5432, Share(597, 28232))
        return ProtocolReading(self.clock_s, self.protocols, conntrack=Share(50, 200), busiest_ports=routes)

    def readers(self):
        details = {
            4321: ProcessDetails("rsync", 5_000_000, 250_000, "backup", "rsync"),
            17: ProcessDetails("nginx", 100, 200, "www-data", "nginx"),
        }
        return Readers(
            name="kernel",
            links=lambda: LinkReading(self.clock_s, self.links),
            connections=lambda: Connections(self.by_status),
            processes=self.read_processes,
            process_details=lambda pids: {pid: details[pid] for pid in pids},
            protocols=lambda with_ports: ProtocolReading(
                self.clock_s, self.protocols, {0: SoftnetCounters(1, 2)}, Share(50, 200)
            ),
        )


@contextmanager
def clock_of(host):
    """Replaces the clocks of the library by this host's clock."""
    clocks = {"time": lambda: 1.7e9 + host.clock_s, "monotonic": lambda: host.clock_s}
    with (
        patch.multiple("network_health.monitor.time", **clocks),
        patch("network_health.sources.isolation.time.monotonic", clocks["monotonic"]),
    ):
        yield clocks["monotonic"]


def reports():
    """A healthy report, one with findings, and one with a failed collector."""
    host = Host()
    with clock_of(host):
        monitor = Monitor(SettingsOutcome.of(CONFIG).settings, readers=[host.readers()])
        host.clock_s += 1
        monitor.check()
        host.clock_s += 30
        yield "healthy", monitor.check()
        host.clock_s += 30
        counters = ETH0.counters._replace(
            tx_bytes=10**9 + 942_375_000, tx_drops=5, tx_packets=10**6 + 650_000
        )
        host.links = (LO, replace(ETH0, counters=counters))
        host.by_status = {**host.by_status, "SYN_RECV": 1828}
        host.processes = (replace(BUSY, cpu_s=115.0), replace(IDLE, cpu_s=7.3))
        host.protocols = replace(QUIET, out_segments=101_000, retransmitted_segments=6000)
        yield "breached", monitor.check()
        host.clock_s += 30
        host.by_status = {"LISTEN": 14}
        host.links = (LO,)
        host.refused = True
        monitor.settings_errors = SettingsOutcome.of({"check_interval_sec": 2.5}).errors
        yield "blind", monitor.check()


def report_with_culprits(sees_owners, **config):
    """A report with all culprits of a breach; without ``sees_owners``, access to socket owners is denied."""
    host, kernel = Host(), FakeKernel(sees_owners=sees_owners)
    with clock_of(host) as monotonic, patched_by(kernel, monotonic):
        readers = replace(host.readers(), protocols=lambda with_ports: host.read_routes())
        monitor = Monitor(
            SettingsOutcome.of(CULPRIT_CONFIG | config).settings, readers=[readers], attributor=Attributor()
        )
        host.clock_s += 1
        monitor.check()
        host.clock_s += 30
        counters = ETH0.counters._replace(tx_bytes=10**9 + 942_375_000, rx_errors=2, rx_drops=4)
        host.links = (LO, replace(ETH0, counters=counters))
        host.by_status = {"ESTABLISHED": 1322, "SYN_RECV": 80, "CLOSE_WAIT": 597, "LISTEN": 1, "NONE": 1}
        host.processes = (replace(BUSY, cpu_s=115.0), replace(IDLE, cpu_s=7.3))
        host.protocols = replace(QUIET, listen_overflows=7852)
        kernel.sent, kernel.refused, kernel.lost = 870_000_000, 6855, {"rx_crc": 3, "rx_missed": 4}
        return monitor.check()


REPORTS = dict(reports()) | {
    "culprits": report_with_culprits(sees_owners=True),
    "culprits_denied": report_with_culprits(sees_owners=False),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_equals_the_golden_file(name):
    """Every field of the content has the recorded value."""
    assert REPORTS[name].as_content() == json.loads((GOLDEN / f"{name}.json").read_text())


def test_the_findings_have_the_sentences_of_the_contract():
    """The sentences equal the reference's, in its order."""
    assert REPORTS["healthy"].details == "Network health within normal bounds."
    assert REPORTS["breached"].details == (
        "eth0 outbound 251.3 Mbps > 250 Mbps; eth0 errors: TX=0 RX=0 drops=3; "
        "High connection count: 2001 > 2000; TCP retransmits 5.0% > 2%"
    )
    assert (REPORTS["breached"].status, REPORTS["breached"].severity) == ("network_issue", "WARNING")


def test_the_clauses_can_be_left_out_of_details():
    """With ``culprits_in_details`` false the sentences are alone, and everything else is the same."""
    content = report_with_culprits(True, culprits_in_details=False).as_content()
    assert content.pop("details") == (
        "eth0 outbound 251.3 Mbps > 250 Mbps; eth0 errors: TX=0 RX=2 drops=4; "
        "High connection count: 2001 > 2000; Listen queue overflows 228.4/s > 10/s; "
        "Conntrack table 25.0% > 20%; Ephemeral ports from 10.0.0.5 to 10.0.0.9:5432 2.11% > 1%"
    )
    with_clauses = REPORTS["culprits"].as_content()
    assert "(92% by rsync" in with_clauses.pop("details")
    assert content == with_clauses


def test_a_report_can_be_a_key():
    """Reports are hashed and compared by identity: their metrics are dicts."""
    first, second = REPORTS["healthy"], replace(REPORTS["healthy"])
    assert {first: 1, second: 2}[first] == 1
    assert first != second


def test_every_report_is_json():
    """The content is unchanged after a round trip through JSON."""
    for report in REPORTS.values():
        content = report.as_content()
        assert json.loads(json.dumps(content, allow_nan=False)) == content


@given(st.text() | st.binary(max_size=15).map(lambda b: b.decode("utf-8", "surrogateescape")))
def test_any_name_from_the_kernel_can_be_reported(name):
    """With any bytes in the name of a process or an interface, the report can be written as UTF-8."""
    host = Host()
    host.links = (replace(ETH0, name=name),)
    host.processes = (replace(IDLE, name=name),)
    readers = replace(host.readers(), process_details=lambda pids: {17: ProcessDetails(name, command=name)})
    content = (
        Monitor(SettingsOutcome.of({"conn_threshold": 0}).settings, readers=[readers]).check().as_content()
    )
    assert json.dumps(content, ensure_ascii=False).encode()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, report in REPORTS.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(report.as_content(), indent=2) + "\n")
