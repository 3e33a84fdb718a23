"""Faults that can befall the nodes of a running swarm.

Each fault is a real one and takes nothing away that a real one would leave: packets that lie in a folder
and reports that lie in a queue are still there when it is over.
"""

import contextlib
import os
import subprocess
import time

from tests.netns import run
from tests.real_swarm.fleet import LAST_NUMBER
from tests.real_swarm.nodes import eventually

QUEUE_BYTES = 1 << 20


class Fault:
    """Befalls one node, ``victim``, for ``seconds``.

    A holder is harmed only while none of its agents has more than ``bearable`` reports waiting: order is
    given up past 50.
    """

    bearable = 25

    def __init__(self, fleet, victim, rng):
        self.fleet, self.victim, self.rng = fleet, victim, rng
        self.seconds = rng.uniform(5, 20)

    def begin(self):
        """Bring it about."""

    def lasts(self, processes):
        """Whether it is still to go on; called at every tick."""
        return time.monotonic() < self.began_s + self.seconds

    def end(self):
        """Take it back; may be called at any time, and again."""

    @classmethod
    def may_befall(cls, fleet, uid, harmed):
        """Whether the node can bear it now, given the kinds of fault that it suffers."""
        if uid not in fleet.holders or not fleet.receipt_log(uid):
            return False
        own = [agent for agent, reporter in fleet.agents.items() if reporter.role == fleet.holders[uid]]
        return max(map(fleet.backlog, own)) <= cls.bearable


class HolderKilled(Fault):
    """``kill -9``, every other time while it takes packets; over when the swarm has brought it back."""

    name = "holder killed and respawned"
    bearable = 15

    def begin(self):
        if self.rng.random() < 0.5:
            await_change(self.fleet.folder(self.victim, "receipt_log"))
            time.sleep(self.rng.uniform(0, 0.02))
        self.fleet.kill(self.victim)

    def lasts(self, processes):
        return not processes[self.victim]


class KeyMissing(Fault):
    """The holder's public key is moved away: ``pass_packet`` refuses."""

    name = "holder's key file missing"

    def begin(self):
        self.key = self.fleet.folder(self.victim, "codex") / "signed_public_key.json"
        self.away = self.key.with_suffix(".away")
        self.key.rename(self.away)

    def end(self):
        with contextlib.suppress(FileNotFoundError):
            self.away.rename(self.key)


class FolderReadOnly(Fault):
    """The holder's incoming folder: nothing can be put there, what is there can be read, not removed."""

    name = "holder's folder read-only"
    mounted = False

    def begin(self):
        self.path = self.fleet.folder(self.victim, "incoming")
        run("mount", "--bind", self.path, self.path)
        self.mounted = True
        # Busy as long as a sender has a file open for writing.
        eventually(lambda: succeeds("mount", "-o", "remount,bind,ro", self.path))

    def end(self):
        if self.mounted:
            run("umount", "--lazy", self.path)
            self.mounted = False


class AgentKilled(Fault):
    """``kill -9`` around a check, every other time just when its report is stored and sent."""

    name = "agent killed and respawned"

    def begin(self):
        time.sleep(max(0.0, next_check(self.fleet, self.victim) - time.time() - 0.3))
        if self.rng.random() < 0.5:
            await_change(self.fleet.folder(self.victim, "queue") / LAST_NUMBER)
            time.sleep(self.rng.uniform(0, 0.02))
        else:
            time.sleep(self.rng.uniform(0, 0.4))
        self.fleet.kill(self.victim)

    def lasts(self, processes):
        return not processes[self.victim]

    @classmethod
    def may_befall(cls, fleet, uid, harmed):
        # Reports that a full disk keeps in memory die with the agent: that is no promise of it.
        return uid in fleet.agents and not harmed & {QueueFull, AgentDoubled} and not in_trouble(fleet, uid)


class QueueMoved(AgentKilled):
    """``kill -9``, and before the respawn the queue is moved to a small disk of its own."""

    name = "agent killed, its queue moved to a small disk"

    def begin(self):
        super().begin()
        queue = self.fleet.folder(self.victim, "queue")
        saved = {path.name: path.read_bytes() for path in queue.iterdir()}
        run("mount", "-t", "tmpfs", "-o", f"size={QUEUE_BYTES},mode=700", "nh-test", queue)
        for name, data in saved.items():
            (queue / name).write_bytes(data)
            (queue / name).chmod(0o600)

    @classmethod
    def may_befall(cls, fleet, uid, harmed):
        return super().may_befall(fleet, uid, harmed) and not on_small_disk(fleet, uid)


class AgentDoubled(Fault):
    """The agent's heartbeat looks old, as on a busy host: the swarm starts a second process of it.

    Over when the framework has ended the later of the two.
    """

    name = "agent started a second time"
    doubled = False

    def begin(self):
        self.heartbeat = self.fleet.folder(self.victim, "hello.moto") / "poke.heartbeat"

    def lasts(self, processes):
        self.doubled = self.doubled or len(processes[self.victim]) > 1
        if not self.doubled:  # the agent's next heartbeat may have come before the swarm looked
            os.utime(self.heartbeat, (0, 0))
        return not self.doubled or len(processes[self.victim]) > 1

    @classmethod
    def may_befall(cls, fleet, uid, harmed):
        return uid in fleet.agents and not harmed & {AgentKilled, QueueMoved}


class QueueFull(Fault):
    """Not a byte more fits on the disk of the queue; what is removed makes room for a moment."""

    name = "queue's disk full"

    def begin(self):
        self.filler = self.fleet.folder(self.victim, "queue") / "filler"
        self.fill()

    def lasts(self, processes):
        self.fill()
        return super().lasts(processes)

    def fill(self):
        """To the last byte."""
        with contextlib.suppress(OSError), open(self.filler, "ab", buffering=0) as filler:
            while True:
                filler.write(bytes(1024))

    def end(self):
        self.filler.unlink(missing_ok=True)

    @classmethod
    def may_befall(cls, fleet, uid, harmed):
        return on_small_disk(fleet, uid) and not harmed & {AgentKilled, QueueMoved}


def next_check(fleet, uid):
    """When the agent is to check next (epoch seconds), as far as its last one tells."""
    last = os.stat(fleet.folder(uid, "queue") / LAST_NUMBER).st_mtime
    return last + fleet.agents[uid].interval_s


def await_change(path):
    """Return the moment that a file changes, or after 10 s."""
    before, deadline = os.stat(path).st_mtime_ns, time.monotonic() + 10
    while os.stat(path).st_mtime_ns == before and time.monotonic() < deadline:
        time.sleep(0.0005)


def in_trouble(fleet, uid):
    """Whether reports wait in the agent's memory alone."""
    return fleet.told(uid, "queue cannot be used") != fleet.told(uid, "queue can be used again")


def on_small_disk(fleet, uid):
    """Whether the agent's queue is on a disk of its own."""
    return uid in fleet.agents and os.path.ismount(fleet.folder(uid, "queue"))


def unmount_queue(fleet, uid):
    """Take the small disk away, if there is one."""
    if on_small_disk(fleet, uid):
        run("umount", "--lazy", fleet.folder(uid, "queue"))


def succeeds(*command):
    """Whether a command does."""
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
