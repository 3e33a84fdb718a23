"""Kept checks for tests that need no file."""

from network_health.history import KeptCheck
from network_health.model import Connections, Cost, Snapshot
from tests.checked_host import EPOCH, nic

HOUR_S, DAY_S = 3600.0, 86400.0


def kept(after_s, *interfaces, connections=0, protocols=None, period_s=None):
    """A check ``after_s`` seconds after `EPOCH`; with ``period_s`` a summary."""
    snapshot = Snapshot(
        timestamp=EPOCH + after_s,
        interfaces=interfaces,
        connections=Connections({"ESTABLISHED": connections}),
        top_processes=(),
        failures=(),
        cost=Cost(0.0, {}, {}),
        protocols=protocols,
    )
    return KeptCheck(
        at=snapshot.timestamp,
        snapshot=snapshot,
        is_summary=period_s is not None,
        period_s=period_s or 30.0,
        status="healthy",
        severity="INFO",
    )


def connections(*counts, step_s=30.0, **check):
    """One check for each number of connections."""
    return [kept(number * step_s, connections=count, **check) for number, count in enumerate(counts)]


def rates(*mbps, step_s=300.0, speed_mbps=None, **check):
    """One check for each outbound rate of eth0."""
    return [
        kept(number * step_s, nic(tx=rate, speed_mbps=speed_mbps), **check)
        for number, rate in enumerate(mbps)
    ]
