"""This port's agent without a swarm around it: the real class, on a folder of its own."""

import importlib.util
import sys
from types import SimpleNamespace
from unittest.mock import patch

from matrixswarm.core.boot_agent import BootAgent

from tests.tree import ROOT

SOURCE = ROOT / "agent" / "network_health" / "network_health.py"


def port_agent(folder, config, holders=()):
    """The agent, its own ``__init__`` run on ``config`` in ``folder``.

    What it passes is kept in ``sent``, what it logs in ``logged``; ``now_holding`` may be changed.
    """
    comm = folder / "comm"
    for drop in ("config", "queue", "hello.moto"):
        (comm / "net-1" / drop).mkdir(parents=True, exist_ok=True)

    def boot(self):
        self.path_resolution = {"comm_path": str(comm), "comm_path_resolved": str(comm / "net-1")}
        self.command_line_args = {"universal_id": "net-1", "agent_name": "network_health"}
        self.tree_node = {"config": config}
        self.thread_registry = {}
        self.encryption_enabled = False
        self.debug = SimpleNamespace(is_enabled=lambda: False)
        self.running = True
        self.logged = []

    with (
        patch.object(BootAgent, "__init__", boot),
        patch.object(BootAgent, "log", lambda self, msg="", **_: self.logged.append(msg)),
    ):
        agent = agent_module().Agent()
    agent.log = lambda msg="", **_: agent.logged.append(msg)
    agent.now_holding = list(holders)
    agent.sent = []
    agent.get_nodes_by_role = lambda role: [{"universal_id": uid} for uid in agent.now_holding]
    agent.get_delivery_packet = lambda kind: SimpleNamespace(
        kind=kind, set_data=lambda data: keep(agent, data)
    )
    agent.pass_packet = lambda packet, uid: agent.sent.append((uid, agent.packet)) is None
    return agent


def keep(agent, data):
    agent.packet = data


def agent_module():
    """The agent's module, loaded from its file as the swarm loads it."""
    name = "port_network_health"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SOURCE)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
