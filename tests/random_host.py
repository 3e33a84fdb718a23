"""A simulated host: it starts with recorded answers of a kernel and changes at random.

Its size is bounded, and `RandomHost.reset` brings it back to the recordings.
"""

import errno
import random
from dataclasses import fields, replace

from network_health.model import (
    Connections,
    Counters,
    Link,
    LinkReading,
    ProcessDetails,
    ProcessReading,
    ProtocolCounters,
    ProtocolReading,
    Share,
    SoftnetCounters,
)
from network_health.sources.linux import proc_net
from network_health.sources.linux.procfs import parse_stat
from network_health.sources.linux.protocols import counters
from network_health.sources.linux.rtnetlink import parse_counters, parse_links, parse_stats
from network_health.sources.readers import Readers
from tests.sources.linux import recorded

COLLECTORS = ("interfaces", "connections", "processes", "protocols")
EPOCH = 1_700_000_000.0
CARDS = ("eth0", "eth1")
MOST_LINKS, MOST_PROCESSES = 16, 40


class Clock:
    """Both clocks of the ``time`` module; a test sets them."""

    def __init__(self, now_s):
        self.now_s = now_s
        self.set_back_s = 0.0

    def monotonic(self):
        return self.now_s

    def time(self):
        return EPOCH + self.now_s - self.set_back_s


class RandomHost:
    """Call ``advance`` for each interval. ``failing`` are the collectors that fail in this interval.

    ``created`` counts new links and processes. If ``stuck`` is an event, reading connections waits for it.
    """

    def __init__(self, clock, seed, interval_s):
        self.clock, self.random, self.interval_s = clock, random.Random(seed), interval_s
        self.numbers = 1000
        self.created = {"links": 0, "processes": 0}
        self.stuck = None
        self.recording = recorded_links(), recorded_processes(), *recorded_protocols()
        self.reset()

    def reset(self):
        """Everything is as recorded, with the two `CARDS` added and no traffic."""
        links, processes, self.protocols, self.softnet = self.recording
        self.links, self.processes = dict(links), dict(processes)
        for name in CARDS:
            self.add_link(name, CARDS.index(name) + 100, "")
        self.sockets = {"ESTABLISHED": 9, "LISTEN": 3, "TIME_WAIT": 6, "NONE": 4}
        self.busy = set()
        self.failing = set()

    def advance(self):
        """Change everything as in one interval."""
        self.advance_links()
        self.advance_processes()
        self.advance_protocols()
        if self.happens(0.1):
            self.sockets["ESTABLISHED"] = self.random.choice([0, 10, 20, 850, 1200, 4000])
        self.failing = {name for name in COLLECTORS if self.happens(0.01)}

    def happens(self, probability):
        return self.random.random() < probability

    def number(self):
        """A number that was not used before, for an index, a pid or a start time."""
        self.numbers += 1
        return self.numbers

    def advance_links(self):
        for name, link in self.links.items():
            self.links[name] = replace(link, counters=self.counted(link.counters, name in self.busy))
        name = self.random.choice(list(self.links))
        if self.busy or self.happens(0.04):
            self.busy = set() if self.happens(0.3) else self.busy | {name}
        if self.happens(0.02) or not self.links[name].up:
            self.switch(name)
        for name in CARDS:
            if name not in self.links and self.happens(0.3):
                self.add_link(name, self.number(), "")
        if self.happens(0.3) and len(self.links) < MOST_LINKS:
            self.add_link(
                f"if{self.number()}", self.numbers, self.random.choice(["veth", "tun", "bridge", None])
            )
        gone = self.random.choice(list(self.links))
        if self.happens(0.02 if gone in CARDS else 0.3) and len(self.links) > 5:
            del self.links[gone]
            self.busy.discard(gone)

    def counted(self, before, busy):
        """The counters after an interval; a busy link loses packets, and sometimes counters are reset."""
        if self.happens(0.002):
            return Counters()
        octets = self.interval_s * (15_000_000 if busy else self.random.randrange(1_000_000))
        lost = {"rx_drops": 9, "tx_errors": 1} if busy else {}
        added = {"tx_bytes": octets, "rx_bytes": octets // 3, "tx_packets": 500, "rx_packets": 400} | lost
        return before._replace(**{name: getattr(before, name) + more for name, more in added.items()})

    def switch(self, name):
        """Change the link between up and down, sometimes several times."""
        link = self.links[name]
        up, changes = not link.up, (link.carrier_changes or 0) + self.random.choice([1, 1, 7])
        state = "up" if up else "down"
        self.links[name] = replace(link, up=up, operstate=state, carrier_changes=changes)

    def add_link(self, name, index, kind):
        self.created["links"] += 1
        self.links[name] = Link(
            name,
            up=True,
            index=index,
            counters=Counters(),
            mtu=1500,
            kind=kind,
            operstate="up",
            carrier_changes=1,
        )

    def advance_processes(self):
        for pid in self.random.sample(list(self.processes), 5):
            used_s = self.random.uniform(0, self.interval_s)
            sample = self.processes[pid]
            self.processes[pid] = replace(sample, cpu_s=sample.cpu_s + used_s)
        if self.happens(0.5) and len(self.processes) < MOST_PROCESSES:
            self.created["processes"] += 1
            pid = self.random.choice([1, 2, self.number()])  # the pid of another, or a new one
            self.processes[pid] = replace(
                self.processes[max(self.processes)], pid=pid, name=f"p{pid}", started=self.numbers
            )
        if self.happens(0.5) and len(self.processes) > 10:
            del self.processes[self.random.choice(list(self.processes))]

    def advance_protocols(self):
        if self.happens(0.01):
            self.protocols = ProtocolCounters(*[0] * len(fields(ProtocolCounters)))
        busy = 100 if self.happens(0.05) else 1
        names = [f.name for f in fields(ProtocolCounters) if getattr(self.protocols, f.name) is not None]
        more = {name: getattr(self.protocols, name) + busy * self.random.randrange(30) for name in names}
        self.protocols = replace(self.protocols, **more)
        self.softnet = {
            cpu: SoftnetCounters(seen.dropped + busy, seen.squeezed + busy)
            for cpu, seen in self.softnet.items()
        }

    def readers(self):
        """The readers for a monitor; each read takes 0.25 s of the clock."""
        return Readers(
            name="simulated",
            links=lambda: self.answer("interfaces", lambda at_s: LinkReading(at_s, (*self.links.values(),))),
            connections=lambda: self.answer("connections", lambda at_s: self.connections()),
            processes=lambda: self.answer(
                "processes", lambda at_s: ProcessReading(at_s, (*self.processes.values(),))
            ),
            process_details=lambda pids: {pid: ProcessDetails(name=f"process {pid}") for pid in pids},
            protocols=lambda with_ports: self.answer("protocols", self.protocol_reading),
        )

    def answer(self, collector, reading):
        at_s = self.clock.now_s
        self.clock.now_s += 0.25
        if collector in self.failing:
            raise OSError(errno.EIO, "made up")  # the recorded digests of reports contain this text
        return reading(at_s)

    def connections(self):
        if self.stuck is not None:
            self.stuck.wait()
        return Connections(dict(self.sockets))

    def protocol_reading(self, at_s):
        used = self.sockets["ESTABLISHED"]
        return ProtocolReading(at_s, self.protocols, dict(self.softnet), conntrack=Share(used, 5000))


def recorded_links():
    """The recorded links by name, with their counters."""
    links = recorded.parsed(parse_links, {}, "rtnetlink/links")
    stats = recorded.parsed(parse_stats, {}, "rtnetlink/stats")
    return {link.name: replace(link, counters=parse_counters(stats[index])) for index, link in links.items()}


def recorded_processes():
    """Thirty copies of the recorded process, by pid."""
    sample = parse_stat(recorded.raw("procfs/busy/stat"))
    return {pid: replace(sample, pid=pid) for pid in range(1, 31)}


def recorded_protocols():
    """The recorded counters of the protocols and of the CPUs."""
    snmp, netstat, snmp6, softnet = (
        recorded.text(f"protocols/{name}") for name in ("snmp", "netstat", "snmp6", "softnet_stat")
    )
    tables = proc_net.parse_tables(snmp + netstat)
    return counters(tables, proc_net.parse_snmp6(snmp6)), proc_net.parse_softnet(softnet)
