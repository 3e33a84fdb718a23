"""A real swarm of one's own: booted with the framework's own launchers, taken down without a trace.

Laws: everything lives in a temporary folder (workspace, HOME, pointers) and in ``/matrix/<universe>``;
no pointer file, workspace or universe of the user's is read or written; every wait has a deadline;
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
from types import TracebackType
from typing import Any

from network_health.swarm import matrix_root
from network_health.swarm.errors import SwarmError
from network_health.swarm.installation import install
from network_health.swarm.spawn_records import newest_records
from network_health.swarm.workspace import Workspace

_INIT_S = _ENCRYPT_S = _NODES_S = 60.0
_BOOT_S = 120.0
_KILL_S = 20.0

#: What the framework reads from the environment; a swarm of one's own must not inherit another's.
_FRAMEWORK_VARIABLES = (
    "AGENT_PATH",
    "MATRIXSWARM_PATH",
    "REBOOT_UUID",
    "SITE_ROOT",
    "SWARM_ROOT",
    "UNIVERSE_ID",
)


class Swarm:
    """A throwaway universe, as a context manager: booted on entry, gone on exit.

    ``directive`` is a matrix directive (JSON-safe); ``extra_agents`` maps agent names to sources that are
    put into the workspace; ``progress`` gets a short phrase before each step that takes seconds.

    Entering raises `SwarmError` when a step fails or misses its deadline; nothing is left then either.
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
        """The temporary folder that is HOME and working folder to everything of this swarm."""
        if self._home is None:
            raise SwarmError(f"the universe {self.universe} is not booted")
        return self._home

    @property
    def workspace(self) -> Path:
        """The swarm's MatrixSwarm workspace, with this project's agents installed."""
        return self.home / "workspace"

    @property
    def comm(self) -> Path:
        """The folder in which each node has its own, named by its universal_id."""
        folder = matrix_root.MATRIX / self.universe
        # By the run's own name where it can be: each node that starts takes "latest" away for a moment.
        return next(folder.glob("[0-9]*/comm"), folder / "latest" / "comm")

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left: it was killed, or never came to have anything."""
        return self._home is None and self._claim is None

    def __enter__(self) -> Swarm:
        try:
            self._boot()
        except BaseException:  # whatever ends a boot, Ctrl-C too, ends what it has started
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def log(self, uid: str) -> str:
        """The text of a node's ``agent.log``, one JSON object a line; ``""`` if it has none yet.

        Readable only with encryption off.
        """
        try:
            return (self.comm / uid / "logs" / "agent.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def pid(self, uid: str) -> int:
        """The process that the node runs in, by its newest spawn record.

        Raises:
            SwarmError: the node was not spawned yet.
        """
        record = newest_records(self.comm).get(uid)
        if record is None or record.pid is None:
            raise SwarmError(f"the swarm has not spawned {uid}")
        return record.pid

    def processes(self) -> list[int]:
        """The pid of every process of this universe: those launched with ``--job <universe>:…``."""
        mark = f"\0--job\0{self.universe}:".encode()
        return [
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if mark in _content(path)
        ]

    def kill(self) -> None:
        """End every process and remove every folder of this universe; may be called again.

        Nothing in a throwaway universe is worth the 10 s that a farewell by ``die`` cookies takes.

        Raises:
            SwarmError: a process or folder would not go.
        """
        with _signals_held():
            self._end_processes()
            try:
                if self._claim is not None:
                    matrix_root.release(self._claim)
                    self._claim = None
                if self._home is not None:
                    with contextlib.suppress(FileNotFoundError):  # somebody cleaned up before
                        shutil.rmtree(self._home)
                    self._home = None
            except OSError as error:
                raise SwarmError(f"a folder of {self.universe} cannot be removed: {error}") from error

    def _boot(self) -> None:
        with _signals_held():
            self._claim = matrix_root.claim(self.universe)
            self._home = Path(tempfile.mkdtemp(prefix="network-health-swarm-"))
        self._progress("making a workspace")
        self._launch("matrixswarm-boot", "--init", "--install-path", str(self.workspace), seconds=_INIT_S)
        install(Workspace.at(self.workspace))
        for name, source in self._extra_agents.items():
            folder = self.workspace / "agent" / name
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.py").write_text(source, encoding="utf-8")
        self._progress("making keys and launching matrix")
        directive, key = self._encrypt_directive()
        arguments = ["--universe", self.universe, "--encrypted-directive", str(directive), "--swarm_key", key]
        if not self._encryption:
            arguments.append("--encryption-off")
        self._launch("matrixswarm-boot", *arguments, seconds=_BOOT_S)
        for uid in _universal_ids(self._directive):
            self._progress(f"{uid} wakes up")
            heartbeat = self.comm / uid / "hello.moto" / "poke.heartbeat"
            wait_until(heartbeat.exists, _NODES_S, f"a heartbeat of {uid}")

    def _encrypt_directive(self) -> tuple[Path, str]:
        """Encrypted even for a swarm without encryption: the only kind that boots from a workspace alone."""
        plain, encrypted = self.home / "directive.json", self.home / "directive.encrypted.json"
        plain.write_text(json.dumps(self._directive), encoding="utf-8")
        output = self._launch(
            "matrixswarm-encrypt-directive", "--in", str(plain), "--out", str(encrypted), seconds=_ENCRYPT_S
        )
        return encrypted, output.strip()

    def _launch(self, name: str, *arguments: str, seconds: float) -> str:
        """Run one of the framework's launchers to its end; returns what it wrote to stdout."""
        child = subprocess.Popen(  # noqa: S603 - the framework's launcher, by its full path, without a shell
            [str(launcher(name)), *arguments],
            cwd=self.home,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a Ctrl-C at the terminal is this process's to handle, in order
        )
        try:
            output, complaints = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise SwarmError(f"{name} did not end within {seconds:.0f} s") from error
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()
        if child.returncode != 0:
            last = (output + complaints).strip().splitlines()[-1:] or ["it said nothing"]
            raise SwarmError(f"{name} failed with status {child.returncode}: {last[0].strip()}")
        return output

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _FRAMEWORK_VARIABLES}
        environment["PYTHONUSERBASE"] = site.getuserbase()  # follows HOME, and may be where everything is
        environment["HOME"] = str(self.home)
        environment["PYTHONUNBUFFERED"] = "1"
        return environment

    def _end_processes(self) -> None:
        deadline = time.monotonic() + _KILL_S
        quiet = 0
        while quiet < 3:  # one that was just being launched shows up in a later look
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
        return path.read_bytes()
    except OSError:  # the process ended meanwhile
        return b""


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and the like take effect after the block, not within it."""
    if threading.current_thread() is not threading.main_thread():  # where no signal is handled anyway
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
        SwarmError: it was not within ``seconds``; the sentence names ``what`` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SwarmError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.05)


def launcher(name: str) -> Path:
    """The framework's command of that name, from the environment that this Python belongs to.

    Raises:
        SwarmError: it is not there.
    """
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    if found is None:
        command = f"{sys.executable} -m pip install matrixswarm"
        raise SwarmError(f"{name} is not installed beside {sys.executable}: run `{command}`")
    return Path(found)


def _universal_ids(node: Mapping[str, Any]) -> Iterator[str]:
    yield node["universal_id"]
    for child in node.get("children", []):
        yield from _universal_ids(child)
