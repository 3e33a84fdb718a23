"""A replay gives the alerts that the history has from the agent itself; of summaries not fewer."""

import contextlib
import math
import random
import socket
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from network_health import Monitor
from network_health.history import FILE_NAME, History, Recorder, Store, replayed
from network_health.model import PortUse, Protocols, Share
from network_health.swarm.agent_service import AgentService
from tests.alerting.test_alerting_properties import CHECK, CONFIG
from tests.checked_host import CheckedHost, nic
from tests.examples import examples
from tests.swarm.test_agent_service import Node

SHARES = st.none() | st.integers(0, 120).map(lambda used: Share(used, 100))
PROTOCOLS = st.none() | st.builds(
    Protocols,
    out_segments_per_sec=st.sampled_from([None, 5.0]),
    retransmit_percent=st.sampled_from([None, 0.0, 4.99, 5.0, 5.01]),
    listen_drops_per_sec=st.sampled_from([None, 0.0, 3.0]),
    conntrack=SHARES,
    busiest_ports=SHARES.map(lambda share: share and PortUse("192.0.2.1", "192.0.2.2", 443, share)),
)
LIMITS = {
    "retransmit_threshold_percent": 5,
    "listen_drop_threshold_per_sec": 1,
    "conntrack_threshold_percent": 80,
    "ephemeral_port_threshold_percent": 80,
}
#: Whole seconds: the wall clock, from which the replay has its times, is too coarse for tenths.
AFTER_S = st.sampled_from([1, 30, 30, 60, 119, 122, 4000])
STEP = st.tuples(st.none() | CONFIG, CHECK, PROTOCOLS, AFTER_S)


def recorded(path, steps, config):
    """Records the checks of a host in a history in the folder ``path``; returns its file."""
    host = CheckedHost(**LIMITS | config)
    recorder = Recorder(path, replace(host.settings, history=True))
    for changed, check, protocols, after_s in steps:
        if changed is not None:
            host.change(**LIMITS | changed)
            recorder.apply(replace(host.settings, history=True))
        hidden = host.settings.exclude_interfaces
        links = {name: link for name, link in check["links"].items() if name not in hidden}
        if len({link["index"] for link in links.values()} - {None}) < len(links):
            links = {name: link | {"index": None} for name, link in links.items()}  # no two have the same
        recorder.add(
            host.check(
                *(nic(name, **link) for name, link in links.items() if "eth*" not in hidden),
                connections=check["connections"],
                protocols=None if "protocols" in check["failed"] else protocols,
                failed=check["failed"],
                after_s=after_s,
            )
        )
    recorder.close()
    return path / FILE_NAME


def kept_and_replayed(file):
    """The alerts in a history, and those of a replay of its checks; of each what both know."""
    with History.open(file) as history:
        kept = history.alerts(0, math.inf)
        again = replayed(history.checks(0, math.inf), history.limits(0, math.inf))
    return (
        sorted(
            (a.check, a.subject, a.begin, a.end, a.end_reason, a.severity, a.highest, a.checks)
            for a in kept
            if a.end
        ),
        sorted(
            (a.check, a.subject, a.began, a.ended, a.reason, a.severity, a.highest, a.breached_checks)
            for a in again
            if a.ended
        ),
        sorted((a.check, a.subject, a.begin, a.severity, a.highest) for a in kept if not a.end),
        sorted((a.check, a.subject, a.began, a.severity, a.highest) for a in again if not a.ended),
    )


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(STEP, min_size=1, max_size=14), CONFIG)
def test_a_replay_is_exact(tmp_path_factory, steps, config):
    """Begin, end, reason, severity, highest value and number of checks of each alert are the same."""
    file = recorded(tmp_path_factory.mktemp("history"), steps, config)
    ended, ended_again, active, active_again = kept_and_replayed(file)
    assert ended_again == ended
    assert active_again == active
    event("some alerts" if ended else "no alert that ended")


def checked_with(service, sockets):
    """One check of an agent, while so many UDP sockets more than before are open."""
    with contextlib.ExitStack() as opened:
        for _ in range(sockets):
            opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", 0))
        service._check()


def test_a_replay_of_an_agents_file(tmp_path):
    """Checks of this host by the agent's service, which is started again while an alert is pending."""
    folder, node = tmp_path / "net-1", Node()
    (folder / "queue").mkdir(parents=True)
    usual = sum(Monitor().check().metrics["by_status"].values())
    config = {"history": True, "conn_threshold": usual + 250, "clear_percent": 90, "alert_after_checks": 2}
    for wanted in ((0, 500, 500, 0, 500), (500, 0, 0, 500, 500)):
        service = node.service = AgentService(node, "net-1", tmp_path, folder, config, node.gate)
        for sockets in wanted:
            checked_with(service, sockets)
        service._recorder.close()
    ended, ended_again, active, active_again = kept_and_replayed(folder / "queue" / FILE_NAME)
    assert ended_again == ended
    assert active_again == active
    of_connections = [alert for alert in ended if alert[0] == "connections"]
    assert [(end_reason, checks) for *_, end_reason, _, _, checks in of_connections] == [("normal", 2)] * 2
    assert [check for check, *_ in active] == ["connections"]


@pytest.mark.slow
def test_a_replay_of_summaries_hides_nothing(tmp_path):
    """Each alert of the agent is in one of the replay, also those about drops that depend on a time."""
    host, source = CheckedHost(check_interval_sec=60), random.Random(14)
    store = Store(tmp_path / "a.sqlite", 64 * 10**6)
    for _ in range(4 * 1440):
        tx = source.choice([5.0] * 40 + [150.0])
        drops = source.choice([0] * 90 + [50_000])
        link = nic(tx=tx, packets=10**6)._replace(new_rx_drops=drops, window_s=60.0)
        store.add(
            host.check(link, connections=source.choice([10] * 60 + [2000]), after_s=60.0), host.settings
        )
    store.close()
    with History.open(tmp_path / "a.sqlite") as history:
        checks = list(history.checks(0, math.inf))
        kept = history.alerts(0, math.inf)
    again = replayed(checks, host.settings)
    assert sum(check.is_summary for check in checks) > 300
    assert {alert.check for alert in kept} == {"tx_rate", "packet_errors", "connections"}
    for alert in kept:
        assert any(
            each.check == alert.check and each.began <= alert.begin < (each.ended or math.inf)
            for each in again
        ), alert
