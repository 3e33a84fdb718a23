"""Many agents of one swarm and those they report to: who lives, what was sent, what arrived."""

import collections
import contextlib
import json
import os
import re
import signal
from pathlib import Path

from tests.real_swarm.nodes import AGENTS, eventually

RECEIPT_LOG = {"receipt_log": (AGENTS / "receipt_log.py").read_text()}

#: ``event`` is "read" or "handled", ``pid`` the holder's process.
Line = collections.namedtuple("Line", "event pid report_id timestamp severity")

#: The file in the queue's folder that says which number the agent has taken last.
LAST_NUMBER = "network-health-last-number"

#: What has become of a number that was taken, but its report not yet stored.
NOWHERE = "was not made yet"

#: An agent that reports to the ``role``.
Reporter = collections.namedtuple("Reporter", "interval_s role")


class Fleet:
    """``agents`` are `Reporter` by uid, ``holders`` the roles of the ``receipt_log`` nodes by uid."""

    def __init__(self, swarm, agents, holders):
        self.swarm = swarm
        #: The folder itself: the link ``latest`` is gone for a moment whenever a node starts.
        self.comm = swarm.comm.resolve()
        self.agents = agents
        self.holders = holders
        #: Ids that an agent took and was killed before it stored their report.
        self.never_made = set()
        #: How often an agent was killed, by what had become of its last report.
        self.kills = collections.Counter()

    def folder(self, uid, name):
        """One of the node's own folders."""
        return self.comm / uid / name

    def processes(self):
        """The pids of each node that runs: usually one each."""
        found, universe = collections.defaultdict(list), self.swarm.universe.encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                job = re.search(rb"\0--job\0%b:\w+:([\w-]+):" % universe, path.read_bytes())
                if job:
                    found[job[1].decode()].append(int(path.parent.name))
        return found

    def kill(self, uid):
        """``kill -9`` a node; returns when it is dead. The swarm respawns it after a minute."""
        pids = self.processes()[uid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(map(lives, pids)))
        if uid in self.agents:
            last = self.ids(uid)[-1]
            place = self.place(last)
            self.kills[place] += 1
            if place == NOWHERE:
                self.never_made.add(last)

    def place(self, report_id):
        """Where the report of an agent that is dead has come to; looked for in the order of its way."""
        if report_id in self.queued(agent_of(report_id)):
            return "waited"
        if any(report_id in packet for uid in self.holders for packet in self.packets(uid)):
            return "was on its way"
        if any(line.report_id == report_id for uid in self.holders for line in self.receipt_log(uid)):
            return "had arrived"
        return NOWHERE

    def packets(self, holder):
        """What lies in a holder's incoming folder."""
        for path in self.folder(holder, "incoming").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # read by now: then the receiver has logged it
                yield path.read_text()

    def has_begun(self, uid):
        """Whether the agent has taken the number of its first report."""
        number = self.folder(uid, "queue") / LAST_NUMBER
        return number.exists() and number.stat().st_size > 0

    def ids(self, uid):
        """The id of every report that the agent has taken a number for, oldest first."""
        text = self.folder(uid, "queue").joinpath(LAST_NUMBER).read_text()
        boot, run, last = re.fullmatch(r"(\w+)-(\w+) (\d+)\n", text).groups()
        return [f"{uid}-{boot}{run}-{number:06d}" for number in range(1, int(last) + 1)]

    def queued(self, uid):
        """The ids of the reports that wait on the agent's disk."""
        paths = self.folder(uid, "queue").glob("network-health-*.report")
        return {json.loads(path.read_bytes())["report_id"] for path in paths}

    def backlog(self, uid):
        """How many reports wait on the agent's disk."""
        return sum(name.endswith(".report") for name in os.listdir(self.folder(uid, "queue")))

    def receipt_log(self, holder):
        """What the holder has written down, oldest first."""
        try:
            text = self.folder(holder, "receipt_log").read_text()
        except FileNotFoundError:
            return []
        return [Line(*line.split()) for line in text.splitlines()]

    def told(self, uid, words):
        """How many lines of the agent's log contain the words."""
        return (self.folder(uid, "logs") / "agent.log").read_text().count(words)

    def told_by_all(self, words):
        """The same of all agents' logs."""
        return sum(self.told(uid, words) for uid in self.agents)


def lives(pid):
    """Whether any thread of the process still runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def agent_of(report_id):
    """The agent that made the report."""
    return report_id.rsplit("-", 2)[0]


def firsts(ids):
    """Each id once, where it came first, by the agent that made it."""
    found = collections.defaultdict(list)
    for report_id in dict.fromkeys(ids):
        found[agent_of(report_id)].append(report_id)
    return found


def unhandled(lines):
    """The ``(pid, id)`` of each report that was read and never handled."""
    handled = {line.report_id for line in lines if line.event == "handled"}
    return {(line.pid, line.report_id) for line in lines if line.report_id not in handled}


def last_of_each_life(lines):
    """The ``(pid, id)`` of each report that a holder's process wrote down last."""
    return set({line.pid: line.report_id for line in lines}.items())
