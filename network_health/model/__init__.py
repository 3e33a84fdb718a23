"""Defines the immutable value types that the stages exchange; uses only the standard library.

In: nothing; this package imports no other one. Out: readings, sockets and their owners, findings.
"""

from network_health.model.findings import Cost, Failure, Finding, Snapshot
from network_health.model.names import MAX_NAME, bounded_name
from network_health.model.readings import (
    Baseline,
    Connections,
    Counters,
    Interface,
    Link,
    LinkKey,
    LinkReading,
    PortUse,
    ProcessDetails,
    ProcessReading,
    ProcessSample,
    ProtocolCounters,
    ProtocolReading,
    Protocols,
    RankedProcess,
    Share,
    SoftnetCounters,
    WentBack,
)
from network_health.model.sockets import (
    BYTE_COUNTER,
    Attribution,
    Owner,
    ProcessTraffic,
    Socket,
    SocketGroup,
    SocketTraffic,
    Traffic,
)

__all__ = [
    "BYTE_COUNTER",
    "MAX_NAME",
    "Attribution",
    "Baseline",
    "Connections",
    "Cost",
    "Counters",
    "Failure",
    "Finding",
    "Interface",
    "Link",
    "LinkKey",
    "LinkReading",
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
    "SocketTraffic",
    "SoftnetCounters",
    "Traffic",
    "WentBack",
    "bounded_name",
]
