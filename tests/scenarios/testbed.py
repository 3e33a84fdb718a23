"""The testbed of the scenarios: a host with workers and a monitor, and the other sides."""

from contextlib import contextmanager
from dataclasses import dataclass

from tests.scenarios.expected import Moved, text_of
from tests.scenarios.network import REMOTES, Network
from tests.scenarios.worker import Worker

WORKERS = 50
#: The scenarios exceed these rates by far, also if a busy machine makes the window of a check long.
LIMITS = {"conn_threshold": 140, "tx_threshold_mbps": 1, "rx_threshold_mbps": 1, "top_n_procs": 20}
#: Where sockets in TIME_WAIT, also those of scenarios before, are no finding.
RATE_LIMITS = LIMITS | {"conn_threshold": 10_000}
#: The time between what a scenario does last and the second check: a window below 0.1 s has no rates.
WINDOW_S = 0.12


@dataclass(frozen=True)
class Route:
    """How a connection goes: over which links of the host, and what makes it go there."""

    links: tuple[str, ...]
    target: str
    source: str | None = None
    options: tuple[tuple, ...] = ()
    uid: int = 0


class Testbed:
    """The workers, which are kept, and their network, which is replaced now and then."""

    def __init__(self):
        self.workers = []
        self.remote = self.vm = self.container = self._monitor = self.network = None
        self._forget()

    def open(self):
        """Start all processes."""
        self.workers += [Worker(f"app-{n}") for n in range(WORKERS)]
        self.remote, self.vm, self.container = Worker("remote"), Worker("guest"), Worker("inside")
        self._monitor = Worker("monitor")

    def close(self):
        """End all processes."""
        for worker in (*self._processes(), *self._helpers):
            worker.end()
        if self.network is not None:
            self.network.close()

    def renew_network(self):
        """Move all processes to a new network, so that no old connection remains."""
        if self.network is not None:
            self.network.close()
        self.network = self._new_network()
        places = self._places()
        for worker, namespace in places:
            worker.start("enter", namespace)
        for worker, _ in places:
            worker.result()

    def reset(self):
        """Close all sockets of all processes, end helpers, and undo changes of the network."""
        for worker in self._helpers:
            worker.end()
        for worker in self._processes():
            worker.start("reset")
        for worker in self._processes():
            worker.result()
        for undo, *args in reversed(self._undo):
            undo(*args)
        self._forget()

    def afterwards(self, undo, *args):
        """Call a function at the next `reset`."""
        self._undo.append((undo, *args))

    def helper(self, name):
        """One more process on the host, which ends with the scenario."""
        self._helpers.append(Worker(name))
        self._helpers[-1].run("enter", self.network.host)
        return self._helpers[-1]

    def sysctl(self, path, value, default):
        """Set a sysctl of the host, like ``ipv4/tcp_syncookies``, for one scenario."""
        self._monitor.run("write", f"/proc/sys/net/{path}", value)
        self.afterwards(self._monitor.run, "write", f"/proc/sys/net/{path}", default)

    def first_check(self, settings):
        """Make the first check; the rest of the scenario is in the window of the second one."""
        self._monitor.run("start_monitor", settings)
        self._has_first_check = True

    def check(self, after_s=WINDOW_S):
        """One more check whose report is not evaluated; what was moved before does not count."""
        content, _ = self._monitor.run("check", after_s)
        self.moved = Moved()
        return content

    def wait(self, seconds):
        """Let so much time pass before the report, instead of `WINDOW_S`."""
        self._window_s = seconds

    def report_by(self, viewer):
        """The report is that of a function that is run in a process of its own on the host."""
        self._viewer = viewer

    def report(self):
        """The content of the next check if there was a first one, else of the first."""
        if self._viewer:
            return self.network.host.call(self._viewer, LIMITS)
        if not self._has_first_check:
            return self._monitor.run("start_monitor", LIMITS)
        content, self.moved.carried = self._monitor.run("check", self._window_s)
        return content

    def carried(self):
        """The bytes that each link of the host carried so far, by direction."""
        return self._monitor.run("carried")

    def connect_to_remote(self, worker, plan):
        """Open connections from a worker, which the remote side accepts."""
        worker.start("connect", plan)
        self._end_of[worker] = self.remote, self.remote.run("accept", len(plan))
        worker.result()

    def connect_over(self, worker, route, port, far=None):
        """Open one connection over a route to a port of the remote side, or of another one; returns both."""
        far = far or self.remote
        far.run("listen", "::" if ":" in route.target else "0.0.0.0", port, 64)
        plan = [(route.source, route.target, port, *route.options)]
        worker.start("connect_as", route.uid, plan)
        self._end_of[worker] = far, far.run("accept", 1)
        worker.result()
        address = route.target.partition("%")[0]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def connect_mptcp(self, worker, address, port):
        """Open a connection to the remote side that may have several subflows."""
        self.remote.run("listen_mptcp", "0.0.0.0", port, 64)
        worker.start("connect_mptcp", address, port)
        self._end_of[worker] = self.remote, self.remote.run("accept", 1)
        worker.result()

    def move(self, worker, act, octets, links, *, near_act=None):
        """Send or receive a number of bytes over the worker's last connection, which uses these links."""
        far, position = self._end_of[worker]
        worker.start(near_act or act, octets)
        far.run("receive" if act == "send" else "send", octets, position)
        worker.result()
        self.count(worker, act, octets, links)

    def count(self, worker, act, octets, links):
        """Remember what a process sent or received over these links."""
        direction = "outbound" if act == "send" else "inbound"
        for link in links:
            self.moved.bytes_of[link, direction, text_of(worker)] += octets

    def add_background(self, rng, count):
        """Give some workers one or two connections that are no culprits."""
        port = rng.randrange(31000, 32000)
        self.remote.run("listen", REMOTES[0], port, 256)
        for worker in rng.sample(self.workers, count):
            self.connect_to_remote(worker, [(None, REMOTES[0], port)] * rng.randrange(1, 3))

    def _processes(self):
        others = (self.remote, self.vm, self.container, self._monitor)
        return [*self.workers, *(each for each in others if each is not None)]

    def _new_network(self):
        return Network()

    def _places(self):
        """All processes, with their namespaces."""
        network = self.network
        places = [(worker, network.host) for worker in (*self.workers, self._monitor)]
        return [
            *places,
            (self.remote, network.remote),
            (self.vm, network.vm),
            (self.container, network.container),
        ]

    def _forget(self):
        self._helpers, self._undo, self._has_first_check = [], [], False
        self._window_s, self._viewer, self.moved = WINDOW_S, None, Moved()
        #: Of the last connection of a process: the worker at its other end, and the place among its sockets.
        self._end_of = {}


@contextmanager
def opened(kind=Testbed):
    """A testbed that is closed at the end."""
    testbed = kind()
    try:
        testbed.open()
        yield testbed
    finally:
        testbed.close()
