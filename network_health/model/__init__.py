"""Frozen value types that the stages exchange; standard library only, no behaviour beyond small properties.

In: nothing; this package imports none of the others. Out: readings, sockets and their owners, findings.
"""

from __future__ import annotations

from network_health.model.findings import Cost, Failure, Finding, Snapshot
from network_health.model.readings import (
    Connections,
    Counters,
    ErrorCounters,
    Interface,
    Link,
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
)
from network_health.model.sockets import (
    BYTE_COUNTER,
    Attribution,
    Moved,
    Owner,
    ProcessTraffic,
    Socket,
    SocketGroup,
    Traffic,
)

__all__ = [
    "BYTE_COUNTER",
    "Attribution",
    "Connections",
    "Cost",
    "Counters",
    "ErrorCounters",
    "Failure",
    "Finding",
    "Interface",
    "Link",
    "LinkReading",
    "Moved",
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
    "SoftnetCounters",
    "Traffic",
]
