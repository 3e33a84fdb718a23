"""Boots a temporary swarm with the framework's own launchers, and removes it completely.

Guarantees: all files are in a temporary folder (workspace, HOME, pointers) and in ``/matrix/<universe>``.
No pointer file, workspace or universe of the user is read or written. Every wait has a deadline.
`Swarm.kill` leaves no process and no folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from network_health.swarm import matrix_root
from network_health.swarm.directive import nodes
from network_health.swarm.errors import SwarmError, last_line
from network_health.swarm.installation import install
from network_health.swarm.payload import framework_source
from network_health.swarm.spawn_records import newest_records
from network_health.swarm.workspace import Workspace

_INIT_S = _ENCRYPT_S = _NODES_S = 60.0
_BOOT_S = 120.0
_KILL_S = 20.0
#: The framework's arguments come first; any process can make its command line gigabytes long.
_COMMAND_LINE_BYTES = 65536

#: The framework reads these; a temporary swarm must not use those of another swarm.
_FRAMEWORK_VARIABLES = (
    "AGENT_PATH",
    "MATRIXSWARM_PATH",
    "REBOOT_UUID",
    "SITE_ROOT",
    "SWARM_ROOT",
    "UNIVERSE_ID",
)


class Swarm:
    """A temporary swarm as a context manager: entering boots it, leaving removes it.

    Entering raises `SwarmError` when a step fails or misses its deadline; everything is removed by then.

    Args:
        directive: a matrix directive, JSON-safe.
        encryption: whether the swarm encrypts its packets and logs.
        extra_agents: sources of agents by name, to be put into the workspace.
        progress: called with a short phrase before each step that takes seconds.
    """

    def __init__(
        self,
        directive: Mapping[str, Any],
        *,
        encryption: bool = True,
        extra_agents: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._directive = dict(directive)
        self._encryption = encryption
        self._extra_agents = dict(extra_agents or {})
        self._progress = progress
        self.universe = f"nh-{os.getpid()}-{secrets.token_hex(4)}"
        self._home: Path | None = None
        self._claim: matrix_root.Claim | None = None

    @property
    def home(self) -> Path:
        """The temporary folder that is HOME and working folder of all processes of this swarm."""
        if self._home is None:
            raise SwarmError(f"the universe {self.universe} is not booted")
        return self._home

    @property
    def workspace(self) -> Path:
        """The swarm's workspace, with this project's agents installed."""
        return self.home / "workspace"

    @property
    def comm(self) -> Path:
        """The folder of all nodes; each has a folder in it, named by its universal_id."""
        folder = matrix_root.MATRIX / self.universe
        # The run's folder is preferred: the link "latest" is missing for a moment whenever a node starts.
        return max(folder.glob("[0-9]*/comm"), default=folder / "latest" / "comm")

    @property
    def is_gone(self) -> bool:
        """Whether it has no process and no folder: it was killed, or never booted."""
        return self._home is None and self._claim is None

    def __enter__(self) -> Swarm:
        try:
            self._boot()
        except BaseException:  # Ctrl-C during the boot must not leave processes
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def log(self, uid: str) -> str:
        """The text of a node's ``agent.log``, one JSON object per line; ``""`` if there is none yet.

        Readable only without encryption.
        """
        try:
            return (self.comm / uid / "logs" / "agent.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def pid(self, uid: str) -> int:
        """The process of a node, from its newest spawn record.

        Raises:
            SwarmError: the node was not spawned yet.
        """
        record = newest_records(self.comm).get(uid)
        if record is None or record.pid is None:
            raise SwarmError(f"the swarm has not spawned {uid}")
        return record.pid

    def processes(self) -> list[int]:
        """The pids of this universe's processes: they were launched with ``--job <universe>:…``."""
        job = f"\0--job\0{self.universe}:".encode()
        return [
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if job in _content(path)
        ]

    def kill(self) -> None:
        """End every process and remove every folder of this universe; may be called again.

        Raises:
            SwarmError: a process does not end, or a folder cannot be removed.
        """
        with _signals_deferred():
            self._end_processes()  # by SIGKILL: the framework's own shutdown takes 10 s
            try:
                if self._claim is not None:
                    matrix_root.release(self._claim)
                    self._claim = None
                if self._home is not None:
                    with contextlib.suppress(FileNotFoundError):  # already removed by another program
                        shutil.rmtree(self._home)
                    self._home = None
            except OSError as error:
                raise SwarmError(f"a folder of {self.universe} cannot be removed: {error}") from error

    def _boot(self) -> None:
        with _signals_deferred():
            self._claim = matrix_root.claim(self.universe)
            self._home = Path(tempfile.mkdtemp(prefix="network-health-swarm-"))
        self._progress("making a workspace")
        self._launch("matrixswarm-boot", "--init", "--install-path", str(self.workspace), seconds=_INIT_S)
        install(Workspace.at(self.workspace))
        for name, source in self._extra_agents.items():
            folder = self.workspace / "agent" / name
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.py").write_text(source, encoding="utf-8")
        self._start()

    def _start(self) -> None:
        self._progress("making keys and launching matrix")
        directive, key = self._encrypt_directive()
        arguments = ["--universe", self.universe, "--encrypted-directive", str(directive), "--swarm_key", key]
        if not self._encryption:
            arguments.append("--encryption-off")
        self._launch("matrixswarm-boot", *arguments, seconds=_BOOT_S)
        for node in nodes(self._directive):
            self._progress(f"starting {node.universal_id}")
            heartbeat = self.comm / node.universal_id / "hello.moto" / "poke.heartbeat"
            wait_until(heartbeat.exists, _NODES_S, f"a heartbeat of {node.universal_id}")

    def _encrypt_directive(self) -> tuple[Path, str]:
        """The encrypted directive and its key; an unencrypted one boots only from the framework's folder."""
        plain, encrypted = self.home / "directive.json", self.home / "directive.encrypted.json"
        plain.write_text(json.dumps(self._directive), encoding="utf-8")
        output = self._launch(
            "matrixswarm-encrypt-directive", "--in", str(plain), "--out", str(encrypted), seconds=_ENCRYPT_S
        )
        return encrypted, output.strip()

    def _launch(self, name: str, *arguments: str, seconds: float) -> str:
        """Run one of the framework's launchers; returns its stdout."""
        child = subprocess.Popen(  # noqa: S603 - the framework's launcher, by its full path, without a shell
            [str(launcher(name)), *arguments],
            cwd=self.home,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C at the terminal must reach only this process
        )
        try:
            output, errors = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise SwarmError(f"{name} did not end within {seconds:.0f} s") from error
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()
        if child.returncode != 0:
            raise SwarmError(f"{name} failed with status {child.returncode}: {last_line(output + errors)}")
        return output

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _FRAMEWORK_VARIABLES}
        environment["PYTHONUSERBASE"] = site.getuserbase()  # its default depends on HOME
        environment["HOME"] = str(self.home)
        environment["PYTHONUNBUFFERED"] = "1"
        return environment

    def _end_processes(self) -> None:
        deadline = time.monotonic() + _KILL_S
        quiet = 0
        while quiet < 3:  # a process that is just being launched appears a moment later
            found = self.processes()
            quiet = 0 if found else quiet + 1
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                pids = ", ".join(map(str, found))
                raise SwarmError(f"processes of the universe {self.universe} do not end: {pids}")
            time.sleep(0.05)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_COMMAND_LINE_BYTES)
    except OSError:  # the process ended meanwhile
        return b""


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP take effect after the block, not within it."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in handlers:
        signal.signal(number, lambda number, frame: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for arrival in arrived[:1]:
            signal.raise_signal(arrival)


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until ``condition()`` is true.

    Raises:
        SwarmError: it was not true within ``seconds``; ``what`` names in the message what was expected.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SwarmError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.05)


def launcher(name: str) -> Path:
    """The framework's command of that name, from the environment of this Python.

    Raises:
        SwarmError: it is not installed.
    """
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    if found is None:
        command = f"{sys.executable} -m pip install {framework_source()}"
        raise SwarmError(f"{name} is not installed for {sys.executable}: run `{command}`")
    return Path(found)
