"""Works with the files and launchers of MatrixSwarm and MatrixOS: install, demo, doctor, live configuration.

In: a workspace, a directive, or the agent that runs in a swarm. Out: files in the workspace, findings about
it, and decisions for the agent.
"""

from network_health.swarm import matrixd
from network_health.swarm.agent_service import AgentService
from network_health.swarm.booting import Swarm, launcher
from network_health.swarm.demo import run_demo
from network_health.swarm.directive import (
    AGENT,
    is_directive,
    nodes,
    parse_json,
    read_directive,
    unread_parts,
)
from network_health.swarm.encrypted_directive import encrypt_again, encrypted_directives
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import MATRIXOS, MATRIXSWARM, framework_at
from network_health.swarm.history_files import HistoryFile, history_files
from network_health.swarm.installation import Outcome, install, uninstall
from network_health.swarm.log_line import log_line
from network_health.swarm.matrix_root import MATRIX, claim, release
from network_health.swarm.packet_gate import PacketGate
from network_health.swarm.payload import FLEET_FILES, fleet_files
from network_health.swarm.single_instance import SingleInstance
from network_health.swarm.untrusted_file import read_bytes
from network_health.swarm.workspace import Workspace, pointed_at

__all__ = [
    "AGENT",
    "FLEET_FILES",
    "MATRIX",
    "MATRIXOS",
    "MATRIXSWARM",
    "AgentService",
    "HistoryFile",
    "Outcome",
    "PacketGate",
    "SingleInstance",
    "Swarm",
    "SwarmError",
    "Workspace",
    "claim",
    "encrypt_again",
    "encrypted_directives",
    "fleet_files",
    "framework_at",
    "history_files",
    "install",
    "is_directive",
    "launcher",
    "log_line",
    "matrixd",
    "nodes",
    "parse_json",
    "pointed_at",
    "read_bytes",
    "read_directive",
    "release",
    "run_demo",
    "uninstall",
    "unread_parts",
]
