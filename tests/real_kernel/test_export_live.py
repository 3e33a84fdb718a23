"""The metrics for Prometheus on the real kernel: kinds of links, the cost, and a join."""

import contextlib
import json
import subprocess
import time

import pytest

from network_health import Monitor, Settings
from network_health.export import Exporter
from network_health.export.metric_families import exposition
from tests.export.test_metric_families import samples
from tests.prometheus import NodeExporter, Prometheus
from tests.real_swarm.nodes import eventually

pytestmark = pytest.mark.root

INTERFACES = 1000


def test_a_link_has_the_kind_that_ip_has_and_no_speed(namespace):
    """The kernel has a nominal speed for a tun and a veth: it is in the report and is not exported."""
    here = namespace()
    here.ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
    here.ip("link", "add", "br0", "type", "bridge")
    here.ip("tuntap", "add", "tun0", "mode", "tun")
    for name in ("va", "vb", "tun0"):
        here.ip("link", "set", name, "up")
    report = here.call(lambda: Monitor(Settings()).check())
    found = samples(exposition(report))
    shown = {dict(key[1:])["device"]: dict(key[1:])["kind"] for key in found if key[0] == "interface_up"}
    of_ip = {
        link["ifname"]: link.get("linkinfo", {}).get("info_kind", "loopback")
        for link in json.loads(here.tool("ip", "-j", "-d", "link"))
    }
    assert shown == of_ip
    assert shown["tun0"] == "tun"
    speeds = {each.link.name: each.link.speed_mbps for each in report.interfaces}
    assert min(speeds["tun0"], speeds["va"]) > 0
    assert "interface_speed_bytes_per_second" not in {key[0] for key in found}


def test_prometheus_joins_it_with_node_exporter(tmp_path):
    """On instance and device, with equal values: the same interfaces, MTUs, and states."""
    textfile = tmp_path / "files" / "x.prom"
    textfile.parent.mkdir()
    joins = (
        "network_health_interface_mtu_bytes == on (instance, device) node_network_mtu_bytes",
        "network_health_interface_receive_bytes_total"
        " <= on (instance, device) node_network_receive_bytes_total",
        "network_health_interface_transmit_packets_total"
        " <= on (instance, device) node_network_transmit_packets_total",
        "network_health_interface_carrier_changes_total"
        " == on (instance, device) node_network_carrier_changes_total",
    )
    settings = Settings.from_mapping({"prometheus_textfile": str(textfile)})
    with contextlib.closing(Exporter(print, print)) as exporter:
        report = exporter.publish(Monitor(settings).check(), settings)
        names = {each.link.name for each in report.interfaces}
        options = ("netclass", "netdev", "netdev.device-exclude=", "netclass.ignored-devices=^$")
        with (
            NodeExporter(tmp_path, textfile.parent, *options) as node,
            Prometheus(tmp_path, {"node": node.address}) as prometheus,
        ):
            eventually(lambda: prometheus.query(joins[0]))
            for join in joins:
                assert {labels["device"] for labels, _ in prometheus.query(join)} == names, join


def test_the_text_costs_less_than_the_check(namespace, tmp_path):
    """With 1,000 interfaces, in CPU time, the least of several runs of each."""
    here = namespace()
    pairs = [f"link add v{n} type veth peer name p{n}" for n in range(INTERFACES // 2)]
    (tmp_path / "links").write_text("\n".join(pairs))

    def measured():
        subprocess.run(["ip", "-batch", tmp_path / "links"], check=True)
        monitor = Monitor(Settings())
        runs = []
        for _ in range(5):
            started = time.process_time()
            report = monitor.check()
            checked = time.process_time()
            text = exposition(report, 30)
            runs.append((checked - started, time.process_time() - checked))
        return min(check for check, _ in runs), min(export for _, export in runs), samples(text)

    check_s, export_s, found = here.call(measured)
    assert len([key for key in found if key[0] == "interface_up"]) == INTERFACES
    assert found[("interfaces_left_out",)] == 1
    assert export_s < check_s
