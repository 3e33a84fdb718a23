"""A small tree with the folders of MatrixOS, whose classes only note what the agent does with them."""

import json
import os
import shutil
import subprocess
import sys

from tests.port import SOURCE

BOOT_AGENT = """
import os, types

class Endpoint:
    def __init__(self, uid, handler):
        self.get_universal_id, self.get_handler = lambda: uid, lambda: handler

class BootAgent:
    def __init__(self):
        comm = os.environ["COMM"]
        self.path_resolution = {"comm_path": comm, "comm_path_resolved": f"{comm}/net-1"}
        self.command_line_args = {"universal_id": "net-1", "agent_name": "network_health"}
        self.tree_node = {"config": {"security": {}, "push_live_config": True, "priority": {}}}
        self.encryption_enabled, self.running = False, True
        self.debug = types.SimpleNamespace(is_enabled=lambda: False)
        self.logged, self.passed, self.beacons = [], [], []

    def check_for_thread_poke(self, thread_token="packet_listener", timeout=None, sleep_for=None):
        return lambda: self.beacons.append([thread_token, timeout])

    def get_nodes_by_role(self, role, return_count=0):
        return [Endpoint("receiver-1", "cmd_catch"), Endpoint("receiver-1", "cmd_other")]

    def get_delivery_packet(self, kind, new=True):
        return types.SimpleNamespace(set_data=lambda data: setattr(self, "packet", data))

    def pass_packet(self, packet, target_uid, drop_zone="incoming"):
        self.passed.append([target_uid, self.packet["handler"], self.packet["content"]["severity"]])
        return True

    def log(self, msg="", error=None, block=None, include_stack=True, level="INFO", custom_tail=None):
        self.logged.append(msg)

    def cmd_inherited(self):
        pass
"""
FILES = {
    "core/python_core/boot_agent.py": BOOT_AGENT,
    "scripts/matrixd": "",
    "boot_directives/phoenix-01.py": "",
    "agents/python_core/network_health/__init__.py": "raise ImportError('the agent, not the library')\n",
    "agents/python_core/network_health/network_health.py": "# of the framework\n",
    "agents/python_core/forensic_detective/__init__.py": "",
    "agents/python_core/forensic_detective/forensic_detective.py": (
        "class Agent:\n    def cmd_ingest_status_report(self): ...\n    def ingest(self): ...\n"
    ),
}
#: Run as the framework runs an agent; prints what came of it.
_PROBE = """
import json, runpy, sys
agent = runpy.run_path(sys.argv[1])["Agent"]()
agent.beacon()
if agent.service:
    agent.send_status_report("healthy", "INFO", "all well", {})
library = getattr(sys.modules.get("network_health"), "__file__", None)
print(json.dumps({"base": type(agent).__mro__[1].__module__, "library": library, "path": sys.path} | {
    name: getattr(agent, name) for name in ("passed", "beacons", "logged")}))
"""


def make(root):
    """Write the tree below ``root``."""
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def content_of(root):
    """Every file below ``root``, with its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def start(root, folder, library="", site_root=None):
    """Start the agent with ``SITE_ROOT`` at ``root``, from a pod in ``folder``: what came of it.

    ``library`` is where the library is searched first; ``site_root`` is another spelling of ``root``.
    """
    pod, comm = folder / "pod", folder / "comm"
    pod.mkdir()
    for name in ("config", "queue", "hello.moto"):
        (comm / "net-1" / name).mkdir(parents=True)
    run = shutil.copy(SOURCE, pod / "run")
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, run],
        env=os.environ
        | {
            "SITE_ROOT": site_root or str(root),
            "AGENT_PATH": f"{root}/agents/python_core/",
            "PYTHONPATH": f"{library}:{root}/core",
            "COMM": str(comm),
        },
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
