"""The framework's own forensic_detective, with the investigator installed in a workspace."""

import contextlib
import importlib
import json
import os
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import matrixswarm

from tests.tree import ROOT

STOCK = Path(matrixswarm.__file__).parent / "agent" / "forensic_detective"
OURS = ROOT / "agent" / "forensic_detective"
INVESTIGATOR = "forensic_detective.factory.watchdog.system.network.investigator"


@contextlib.contextmanager
def workspace(folder):
    """Put a workspace's ``agent/`` first on the path; gives the detective's module as a swarm loads it."""
    agents, environment, path = folder / "agent", dict(os.environ), list(sys.path)
    shutil.copytree(STOCK, agents / "forensic_detective")
    shutil.copytree(OURS, agents / "forensic_detective", dirs_exist_ok=True)
    os.environ.update(SITE_ROOT=str(folder), AGENT_PATH=str(agents))
    try:
        sys.path.insert(0, str(agents))
        yield importlib.import_module("forensic_detective.forensic_detective")
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        for name in [name for name in sys.modules if name.partition(".")[0] == "forensic_detective"]:
            del sys.modules[name]


class Swarm:
    """A detective without a swarm; records what it logs and the alerts that would leave the swarm."""

    def __init__(self, module, folder):
        self.logged, self.alerts, self.folder = [], [], folder / "summary"
        self.folder.mkdir(exist_ok=True)
        agent = self.detective = object.__new__(module.Agent)
        agent.event_buffer, agent.last_alerts = OrderedDict(), {}
        agent.buffer_size, agent.correlation_window_sec, agent.alert_cooldown = 100, 120, 300
        agent.enable_oracle_analysis, agent.summary_path = False, str(self.folder)
        agent.log = lambda msg="", *args, **kwargs: self.logged.append(str(kwargs.get("error") or msg))
        agent.send_simple_alert = lambda message, *args: self.alerts.append(message)

    def ingest(self, *contents):
        """Give reports to the detective, through JSON as in packets."""
        for content in contents:
            self.detective.cmd_ingest_status_report(json.loads(json.dumps(content)), None)

    def incidents(self):
        """The incident files."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.iterdir())]
