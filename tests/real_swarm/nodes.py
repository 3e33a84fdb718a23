"""Directives for tests, and what the nodes of a booted one have said and got."""

import base64
import itertools
import json
import socket
import time
from pathlib import Path

from matrixswarm.core.class_lib.logging.logger import Logger

ROLE = "hive.forensics.data_feed"
#: Every interface but loopback: what happens to the host's others is not a test's to know.
BUT_LOOPBACK = ["[!l]*", "l[!o]*"]
AGENTS = Path(__file__).parent / "agents"
CATCHER = {"catcher": (AGENTS / "catcher.py").read_text()}
COMMANDER = {"commander": (AGENTS / "commander.py").read_text()}
_orders = itertools.count()


def matrix(*children):
    """A directive: the matrix and its children."""
    return {"universal_id": "matrix", "name": "matrix", "children": list(children)}


def node(uid, name, **config):
    """A node of a directive."""
    return {"universal_id": uid, "name": name, "config": config}


def holder(uid, name="catcher", role=ROLE):
    """A node that holds the role."""
    service = {"role": [role], "scope": ["parent", "any"], "auth": {"sig": True}, "priority": 10}
    return node(uid, name, **{"service-manager": [service]})


def caught(swarm, uid, sender=None):
    """The contents of the reports that a catcher got, oldest first; of one sender, if named."""
    try:
        lines = (swarm.comm / uid / "caught.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    contents = [json.loads(line) for line in lines]
    if sender is None:
        return contents
    return [c for c in contents if c["metrics"].get("report_id", "").startswith(f"{sender}-")]


def messages(swarm, uid, key_of=None):
    """The messages of a node's log; ``key_of`` names a catcher when the swarm is encrypted."""
    lines = swarm.log(uid).splitlines()
    if key_of:
        key = base64.b64decode((swarm.comm / key_of / "swarm_key").read_text())
        lines = [Logger.decrypt_log_line(line, key) if not line.startswith("{") else line for line in lines]
    return [json.loads(line)["message"] for line in lines if line.startswith("{")]


def order(swarm, commander, to, drop, packet, data):
    """Have a commander pass a packet; returns when it has."""
    folder = swarm.comm / commander / "orders"
    eventually(folder.exists)
    path = folder / f"{next(_orders):06d}.order"
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"to": to, "drop": drop, "packet": packet, "data": data}))
    part.rename(path)
    eventually(lambda: not path.exists())


def update_agent(swarm, commander, uid, **config):
    """The framework's own command: patch a node's config and push it to the live agent."""
    content = {"target_universal_id": uid, "config": config, "push_live_config": True}
    packet = {"handler": "cmd_update_agent", "content": content}
    order(swarm, commander, "matrix", "incoming", "standard.command.packet", packet)


def one_socket():
    """A socket that listens, for as long as it is open: a limit of 0 connections is exceeded."""
    return socket.create_server(("127.0.0.1", 0))


def eventually(what, seconds=60):
    """The first true result of ``what()``; an assertion error when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = what()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what.__doc__ or what}")
