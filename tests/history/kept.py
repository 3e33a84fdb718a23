"""Reports and files for the tests of the history."""

import os
import sqlite3
import stat
from dataclasses import replace

from network_health.history import History, Store
from network_health.model import (
    Connections,
    Cost,
    Namespace,
    Namespaces,
    ProcessSample,
    Protocols,
    RankedProcess,
    Share,
)
from tests.checked_host import CheckedHost, nic

MB = 10**6
#: Epoch seconds of the first check of a `CheckedHost`; a whole hour is at 1,700,006,400.
FIRST = 1_700_005_030.0
EVER = (0.0, 1e12)


def whole_report(host, number=0, **check):
    """A report that has something of every kind."""
    report = host.check(
        nic(tx=float(number), rx=2.5, index=2, kind="", operstate="up", packets=1000),
        nic("wlan0", counters=False),
        **{"connections": 10 + number, **check},
    )
    return replace(
        report,
        connections=Connections({"ESTABLISHED": 7 + number, "NONE": 2, "BOUND": 1}),
        processes=(
            RankedProcess(ProcessSample(7, "nginx", 1.0, 1.0, 3 << 20), 12.5),
            RankedProcess(ProcessSample(8, "nginx", 1.0, 1.0, 1 << 20), 2.5),
        ),
        protocols=Protocols(retransmit_percent=1.5, listen_drops_per_sec=0.0, conntrack=Share(1, 3)),
        namespaces=Namespaces((Namespace(1, 7, tcp=5, udp=1, label="container web"),)),
        cost=Cost(4.25, {"interfaces": 1.5}, {}),
    )


def written(path, count=1, *, host=None, max_mb=64, **check):
    """A history of ``count`` checks, 30 s apart; returns the host."""
    host = host or CheckedHost()
    store = Store(path, max_mb * MB)
    for number in range(count):
        store.add(whole_report(host, number, **check), host.settings)
    store.close()
    return host


def rows(path, statement):
    """What a statement of SQL finds in a file."""
    db = sqlite3.connect(path)
    try:
        return db.execute(statement).fetchall()
    finally:
        db.close()


def counts(path):
    """How many checks, five minutes and hours a file has."""
    return tuple(rows(path, f"SELECT count(*) FROM {t}")[0][0] for t in ("checks", "five_minutes", "hours"))


def times(path):
    """The times of its checks, in the order in which they were made."""
    with History.open(path) as history:
        return [check.at for check in history.checks(*EVER) if not check.is_summary]


def modes(folder):
    """The permission bits of each file of a folder."""
    return {name: stat.S_IMODE(os.stat(folder / name).st_mode) for name in os.listdir(folder)}
