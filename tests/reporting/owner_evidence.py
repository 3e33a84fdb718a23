"""Evidence with every field of an owner: shared sockets, a part of a port, a flood within the host."""

import ipaddress
from collections import Counter

from network_health.attribution import (
    call_crossings,
    connection_culprits,
    evidence,
    forwarded_flows,
    forwarded_packets,
    missing_owners,
    protocol_split,
)
from network_health.attribution.interface_paths import SENT, Crossing
from network_health.model import (
    Attribution,
    FlowTuple,
    IpCounters,
    Owner,
    ProcessTraffic,
    Protocols,
    SocketGroup,
    TrackedFlow,
    Traffic,
    TrafficPart,
)
from network_health.reporting.network import network_metrics, traffic_metrics

_WEB = "container web"
_NOT_TCP = protocol_split.part_of(protocol_split.NotTcp(98, 9, 1, True), 100, 1.0).inside(_WEB).evidence
_HINT = call_crossings.hint_of({"coverage_percent": 2.0, "not_tcp": {"percent": 98.0}})
_LOOPBACK, _REMOTE = (ipaddress.ip_address(text).packed for text in ("127.0.0.1", "10.0.0.9"))


def owner_evidence():
    """``metrics.culprits`` of three findings."""
    groups = [
        SocketGroup("tcp", "ESTABLISHED", _LOOPBACK, 80, _LOOPBACK, 0, 10, 0, {(1, 2): 8, (3,): 2}),
        SocketGroup("tcp", "ESTABLISHED", _LOOPBACK, 0, _LOOPBACK, 80, 10, 0, {(4,): 10}),
        SocketGroup("tcp", "ESTABLISHED", _LOOPBACK, 0, _REMOTE, 443, 10, 0, {(4,): 8, (3,): 2}),
    ]
    users = missing_owners.user_entries(Counter({(0, 0): 1000}), 5, "bytes")
    connections = connection_culprits.of_connections(groups, _owner_of, 5)[1]
    return {
        "connections": connections,
        "namespace_connections": [{"namespace": _WEB} | connections],
        "tx_rate": [
            {
                "namespace": _WEB,
                "users": users,
                "not_tcp": dict(_NOT_TCP),
                "processes": [evidence.owner_fields(Owner(1, "app", namespace=_WEB))],
                **_HINT,
            },
            *({"forwarded": part} for part in _forwarded()),
        ],
    }


def _forwarded():
    """What was forwarded: bytes of flows, and packets only."""
    tuples = FlowTuple(_LOOPBACK, _REMOTE, 40000, 443), FlowTuple(_REMOTE, _LOOPBACK, 443, 40000)
    crossing = Crossing([forwarded_flows.at_destination(TrackedFlow(*tuples, 6, 90, 9, 1))], 0)
    places = {_LOOPBACK: "container web", _REMOTE: "container db"}
    noted = {"age_s": 0.0, "note": forwarded_flows.NOT_FORWARDED}
    yield {**forwarded_flows.part_of([crossing], SENT, 100, 5, places).evidence, **noted}
    yield {**forwarded_packets.part_of(98, 100, "do").evidence, **noted}


def shared_traffic():
    """``metrics.top_network`` with a process that shares sockets, and with a part of the unattributed."""
    process, parts = ProcessTraffic(1, 9, 9, 1, (2,)), (TrafficPart("not_tcp", 5, 3),)
    owners = {1: Owner(1, "app", namespace=_WEB)}
    return network_metrics(Traffic(1.0, (process,), 19, 19, unattributed_parts=parts), owners)


def whole_traffic():
    """``metrics.traffic`` with every field."""
    counted = IpCounters((10**6, 10**6), 0, (40, 20), (10, 5), (100, 50), 8, 0, 0)
    attribution = Attribution(traffic=Traffic(1.0, (), 0, 0, tcp=(10**5, 10**5)))
    return traffic_metrics(Protocols(window_s=4.0, ip=counted), attribution)["traffic"]


def _owner_of(holders):
    first, *others = (Owner(pid, "app", "www", "web", "app.service") for pid in holders)
    return Owner(first.pid, first.name, first.user, first.container, first.unit, tuple(others))
