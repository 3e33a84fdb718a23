"""Says which command shows what was before an incident, from the history that the agent keeps."""

from __future__ import annotations

import os
import re
import shlex
import time
from typing import Any

from .values import agent, number

_FILE_NAME = "network-health-history.sqlite"
#: What the framework accepts as the name of a node's folder; nothing that leads to another folder.
_NODE = re.compile(r"[\w-][\w.-]*", re.ASCII)
_DAY_S = 86400


def command(report: dict[str, Any], nodes: object) -> str:
    """The command for the day before the report, with the agent's file if that is in its own folder.

    ``nodes`` is the swarm's folder of all nodes; only the name of the file is looked up.
    """
    timestamp = number(report.get("timestamp"))
    since = "24h"
    if timestamp is not None and _DAY_S <= timestamp < 1e11:
        since = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(timestamp - _DAY_S))
    name = agent(report)
    if isinstance(nodes, str) and _NODE.fullmatch(name):
        path = os.path.join(nodes, name, "queue", _FILE_NAME)
        if os.path.isfile(path):
            return f"What was before: network-health history {shlex.quote(path)} --since {since}"
    return f"What was before, if the agent keeps a history: network-health history --since {since}"
