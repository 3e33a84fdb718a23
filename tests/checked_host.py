"""A simulated host for tests of alerting: each check is given what it sees."""

from network_health import Settings
from network_health.alerting import AlertState, evaluate, step
from network_health.model import Connections, Cost, Counters, Failure, Interface, Link, Snapshot
from network_health.reporting import build_report

EPOCH = 1_700_000_000.0


def nic(name="eth0", *, tx=0.0, rx=0.0, drops=0, packets=0, up=True, counters=True, **link):
    """One interface; ``link`` has further fields of `Link`."""
    if not counters:
        return Interface(Link(name, up=up, **link), tx, rx, *[None] * 7)
    return Interface(
        Link(name, up=up, counters=Counters(), **link),
        tx_mbps=tx,
        rx_mbps=rx,
        new_tx_drops=drops,
        new_tx_packets=packets,
    )


class CheckedHost:
    """A sequence of checks of one host, by default 30 s apart."""

    def __init__(self, **config):
        self.settings = Settings.from_mapping(config)
        self.state = AlertState()
        self.now_s, self.epoch = 5000.0, EPOCH

    def change(self, **config):
        """Replace the settings, as a live reconfiguration does."""
        self.settings = Settings.from_mapping(config)

    def check(self, *interfaces, connections=0, protocols=None, namespaces=None, failed=(), after_s=30.0):
        """The report of the next check, which sees all this; a ``failed`` collector sees nothing."""
        self.now_s += after_s
        snapshot = Snapshot(
            timestamp=self.epoch + self.now_s,
            interfaces=None if "interfaces" in failed else interfaces,
            connections=None if "connections" in failed else Connections({"ESTABLISHED": connections}),
            top_processes=(),
            failures=tuple(Failure(collector, "OSError: no") for collector in failed),
            cost=Cost(0.0, {}, {}),
            protocols=protocols,
            namespaces=namespaces,
        )
        findings = evaluate(snapshot, self.settings)
        self.state, verdict = step(self.state, findings, snapshot, self.settings, self.now_s)
        return build_report(snapshot, verdict, self.settings)

    def rates(self, *rates, **more):
        """The reports of one check for each outbound rate of eth0."""
        return [self.check(nic(tx=rate), **more) for rate in rates]


def keys(entries):
    """(check, subject) of each entry of a report's list."""
    return [(entry["check"], entry["subject"]) for entry in entries]
