"""The logs of swarms, for the report of a test that has failed.

A swarm that a test boots for itself is gone when its failure is reported: its logs are read before it ends.
Each worker has a ``/matrix`` of its own, so what is there belongs to the test.
"""

import base64
import json
from pathlib import Path

from network_health.swarm.booting import Swarm

MATRIX = Path("/matrix")
LINES = 20
_of_ended_swarms = []
_kill = Swarm.kill


def _kill_and_keep_logs(swarm):
    if not swarm.is_gone:
        _of_ended_swarms.extend(_read(MATRIX / swarm.universe))
    _kill(swarm)


Swarm.kill = _kill_and_keep_logs


def forget():
    """Of swarms that have ended keep nothing."""
    _of_ended_swarms.clear()


def sections():
    """``(title, text)`` for each log of a swarm that runs, or that has ended since `forget`."""
    running = [section for universe in sorted(MATRIX.glob("*-*")) for section in _read(universe)]
    return [*_of_ended_swarms, *running, ("/matrix/spawn.log", _tail(MATRIX / "spawn.log"))]


def _read(universe):
    """The last lines of each node's log."""
    nodes = sorted(universe.glob("[0-9]*/comm/*/logs/agent.log"))
    keys = [base64.b64decode(path.read_text()) for path in universe.glob("[0-9]*/comm/*/swarm_key")]
    return [(f"{path.parts[-3]} of {universe.name}", _tail(path, *keys[:1])) for path in nodes]


def _tail(path, key=None):
    """The last lines of a file; those that are encrypted need the ``key``, which a catcher writes down."""
    try:
        lines = path.read_text(errors="replace").splitlines()[-LINES:]
    except OSError as error:
        return str(error)
    return "\n".join(_message(line, key) for line in lines)


def _message(line, key):
    if key and not line.startswith("{"):
        # Not at the top: what needs no swarm is tested where the framework is not installed, too.
        from matrixswarm.core.class_lib.logging.logger import Logger

        line = Logger.decrypt_log_line(line, key)
    try:
        entry = json.loads(line)
        return f"{entry.get('timestamp', '')} {entry['level']} {entry['message']}".strip()
    except (ValueError, KeyError):
        return line
