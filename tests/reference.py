"""The agent that matrixswarm ships, loaded from the installed package, and psutil readings for it and us."""

import importlib.util
import os
import socket
import sys
from collections import Counter, namedtuple
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import matrixswarm
import psutil
from matrixswarm.core.boot_agent import BootAgent

from network_health.model import Connections

IfStat = namedtuple("IfStat", "isup speed mtu")
Io = namedtuple("Io", "bytes_sent bytes_recv packets_sent packets_recv errin errout dropin dropout")
ProcessIo = namedtuple("ProcessIo", "read_bytes write_bytes")
Address = namedtuple("Address", "family address")


@dataclass
class World:
    """What psutil says at one moment; ``clock_s`` serves every clock that is asked."""

    clock_s: float = 1000.0
    stats: dict = field(default_factory=dict)
    addresses: dict = field(default_factory=dict)
    io: dict = field(default_factory=dict)
    connections: list = field(default_factory=list)
    processes: dict = field(default_factory=dict)


@dataclass
class Process:
    """One process of a `World`; a ``None`` is what psutil gives where the kernel refuses."""

    pid: int
    name: str = "p"
    cpu_s: float | None = 0.0
    cpu_percent: float | None = 0.0
    rss: int | None = 0
    io: ProcessIo | None = ProcessIo(0, 0)

    @property
    def info(self):
        """What ``process_iter(attrs)`` leaves on each process, for both callers."""
        return {
            "pid": self.pid,
            "name": self.name,
            "create_time": 1.0,
            "cpu_percent": self.cpu_percent,
            "cpu_times": None if self.cpu_s is None else SimpleNamespace(user=self.cpu_s, system=0.0),
            "memory_info": None if self.rss is None else SimpleNamespace(rss=self.rss),
            "io_counters": self.io,
        }

    def io_counters(self):
        if self.io is None:
            raise psutil.AccessDenied(self.pid)
        return self.io

    def as_dict(self, attributes):
        known = {"name": self.name, "io_counters": self.io, "username": "u", "cmdline": [self.name]}
        return {attribute: known[attribute] for attribute in attributes}


@contextmanager
def psutil_says(world):
    """psutil and the clocks answer from ``world``, which may be changed meanwhile."""

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(world.clock_s)

    answers = {
        "net_if_stats": lambda: dict(world.stats),
        "net_if_addrs": lambda: dict(world.addresses),
        "net_io_counters": lambda pernic, nowrap=True: dict(world.io),
        "net_connections": lambda kind="inet": [SimpleNamespace(status=s) for s in world.connections],
        "process_iter": lambda attributes: iter(list(world.processes.values())),
        "Process": lambda pid: world.processes[pid],
    }
    with (
        patch.multiple(psutil, **answers),
        patch.object(reference_module(), "datetime", Now),
        patch("network_health.sources.portable.time.monotonic", lambda: world.clock_s),
        patch("network_health.sources.portable._name", lambda process: process.name),
        patch("network_health.sources.portable._command", lambda process: process.name),
        patch("network_health.sources.linux.read_connections_from_proc", _connections),
        patch.object(socket, "if_nameindex", list),
    ):
        yield


def _connections():
    return Connections(Counter(each.status for each in psutil.net_connections(kind="inet")))


def reference_module():
    """The stock agent's module, the real file."""
    name = "reference_network_health"
    if name not in sys.modules:
        path = Path(matrixswarm.__file__).parent / "agent" / "network_health" / "network_health.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        with patch.dict(os.environ, {"SITE_ROOT": str(path.parent), "AGENT_PATH": str(path.parent)}):
            before = list(sys.path)
            spec.loader.exec_module(module)
            sys.path[:] = before
        sys.modules[name] = module
    return sys.modules[name]


def reference_agent(config, holders=("forensic-1",)):
    """The stock agent, its own ``__init__`` run on ``config``; what it sends is kept in ``sent``."""

    def boot(self):
        self.tree_node = {"config": config}
        self.logged = []
        self.running = False

    with (
        patch.object(BootAgent, "__init__", boot),
        patch.object(BootAgent, "log", lambda self, msg="", **_: self.logged.append(msg)),
    ):
        agent = reference_module().Agent()
    agent.sent = []
    agent.log = lambda msg="", **_: agent.logged.append(msg)
    agent.get_nodes_by_role = lambda role: [{"universal_id": uid} for uid in holders]
    agent.get_delivery_packet = lambda path: SimpleNamespace(
        set_data=lambda data: setattr(agent, "data", data)
    )
    agent.pass_packet = lambda packet, uid: agent.sent.append((uid, agent.data))
    return agent
