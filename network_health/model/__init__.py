"""Defines the immutable value types that the stages exchange; uses only the standard library.

In: nothing; this package imports no other one. Out: readings, sockets and their owners, findings.
"""

from network_health.model.calls import CallTraffic
from network_health.model.findings import Cost, Failure, Finding, Snapshot
from network_health.model.flows import FlowTuple, TrackedFlow
from network_health.model.ip_counters import IpCounters
from network_health.model.names import MAX_NAME, bounded_name
from network_health.model.namespaces import Namespace, Namespaces
from network_health.model.protocols import (
    PortUse,
    ProtocolCounters,
    ProtocolReading,
    Protocols,
    Share,
    SoftnetCounters,
)
from network_health.model.readings import (
    Baseline,
    Connections,
    CounterReading,
    Counters,
    Interface,
    Link,
    LinkKey,
    LinkReading,
    ProcessDetails,
    ProcessReading,
    ProcessSample,
    RankedProcess,
    WentBack,
)
from network_health.model.sockets import (
    ANOTHER_PROCESS,
    BYTE_COUNTER,
    MAX_HOLDERS,
    RESENT_COUNTER,
    Attribution,
    HalfOpen,
    Holders,
    Owner,
    ProcessTraffic,
    Socket,
    SocketGroup,
    SocketResent,
    SocketTraffic,
    Traffic,
    TrafficPart,
    UdpSocket,
)

__all__ = [
    "ANOTHER_PROCESS",
    "BYTE_COUNTER",
    "MAX_HOLDERS",
    "MAX_NAME",
    "RESENT_COUNTER",
    "Attribution",
    "Baseline",
    "CallTraffic",
    "Connections",
    "Cost",
    "CounterReading",
    "Counters",
    "Failure",
    "Finding",
    "FlowTuple",
    "HalfOpen",
    "Holders",
    "Interface",
    "IpCounters",
    "Link",
    "LinkKey",
    "LinkReading",
    "Namespace",
    "Namespaces",
    "Owner",
    "PortUse",
    "ProcessDetails",
    "ProcessReading",
    "ProcessSample",
    "ProcessTraffic",
    "ProtocolCounters",
    "ProtocolReading",
    "Protocols",
    "RankedProcess",
    "Share",
    "Snapshot",
    "Socket",
    "SocketGroup",
    "SocketResent",
    "SocketTraffic",
    "SoftnetCounters",
    "TrackedFlow",
    "Traffic",
    "TrafficPart",
    "UdpSocket",
    "WentBack",
    "bounded_name",
]
