"""Brings faults about in a running swarm, as a plan and a random source say, and takes each back."""

import collections
import contextlib
import time

from tests.real_swarm.fleet_faults import AgentKilled, next_check, unmount_queue

#: Between two looks at the swarm.
TICK_S = 0.4


class Director:
    """Brings faults about as planned and takes each back; on exit nothing of them is left.

    ``plan`` lists ``(due_s, kind)``; a fault that nobody can bear when it is due comes later.
    """

    def __init__(self, fleet, rng, plan):
        self.fleet, self.rng = fleet, rng
        self.plan = sorted(plan, key=lambda entry: entry[0])
        self.active = []
        self.counts = collections.Counter()
        self.largest_backlog = 0
        self.began_s = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.ExitStack() as everything:
            for uid in self.fleet.agents:
                everything.callback(unmount_queue, self.fleet, uid)
            for fault in self.active:
                everything.callback(fault.end)

    def carry_on(self, until, seconds):
        """Carry on until ``until()``, for at most ``seconds``; whether it came to be."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            self.tick()
            due = [entry for entry in self.plan if entry[0] <= time.monotonic() - self.began_s]
            self.plan = [entry for entry in self.plan if entry not in due or not self.begin(entry[1])]
        return True

    @property
    def is_done(self):
        """Whether every planned fault has come and gone."""
        return not self.plan and not self.active

    def tick(self):
        """Take back what is over."""
        time.sleep(TICK_S)
        processes = self.fleet.processes()
        for fault in [fault for fault in self.active if not fault.lasts(processes)]:
            fault.end()
            self.active.remove(fault)
            self.say(fault, "over")
        self.largest_backlog = max(self.largest_backlog, *map(self.fleet.backlog, self.fleet.agents))

    def begin(self, kind):
        """Let it befall somebody who can bear it; False if nobody can now."""
        processes = self.fleet.processes()
        victims = [
            uid
            for uid in (*self.fleet.agents, *self.fleet.holders)
            if len(processes[uid]) == 1
            and kind not in (harmed := {type(fault) for fault in self.active if fault.victim == uid})
            and kind.may_befall(self.fleet, uid, harmed)
        ]
        if not victims:
            return False
        victims = self.rng.sample(victims, min(6, len(victims)))
        if issubclass(kind, AgentKilled):
            # One that is to check soon: the others wait for this fault to begin.
            victims.sort(key=lambda uid: abs(next_check(self.fleet, uid) - time.time() - 1))
        fault = kind(self.fleet, victims[0], self.rng)
        fault.began_s = time.monotonic()
        self.active.append(fault)
        fault.begin()
        self.counts[kind.name] += 1
        self.say(fault, "begun")
        return True

    def say(self, fault, what):
        """For whoever has to find out why a run failed."""
        print(f"{time.strftime('%H:%M:%S')} {fault.victim}: {fault.name}, {what}")
