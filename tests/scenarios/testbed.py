"""The testbed of the scenarios: a host with workers and a monitor, and a remote side."""

from contextlib import contextmanager

from tests.netns import Namespace, veth
from tests.scenarios.scenarios import HOST, HOST6, LIMITS, ONE_NETWORK6, REMOTES, REMOTES6
from tests.scenarios.worker import Worker

WORKERS = 50


class Testbed:
    """The workers, which are kept, and their namespaces, which are replaced now and then."""

    def __init__(self):
        self.workers, self._namespaces = [], []
        self.remote = self._monitor = None
        self._has_first_check = False

    def open(self):
        """Start all processes."""
        self.workers += [Worker(f"app-{n}") for n in range(WORKERS)]
        self.remote, self._monitor = Worker("remote"), Worker("monitor")

    def close(self):
        """End all processes."""
        for worker in (*self.workers, self.remote, self._monitor):
            if worker is not None:
                worker.end()
        self._close_namespaces()

    def renew_namespaces(self):
        """Move all processes to new namespaces, so that no old connection remains."""
        self._close_namespaces()
        self._namespaces = [Namespace(), Namespace()]
        host, remote = self._namespaces
        veth(host, remote)
        remote.sysctl("net.ipv6.conf.all.accept_dad", "0")
        commands = [f"addr add {a}/24 dev vb" for a in REMOTES[1:]]
        commands += [f"addr add {a}/64 dev vb nodad" for a in (*REMOTES6, *ONE_NETWORK6)]
        remote.tool("sh", "-c", "\n".join(f"ip {command}" for command in commands))
        host.ip("addr", "add", f"{HOST6}/48", "dev", "va", "nodad")
        for worker in (*self.workers, self._monitor):
            worker.start("enter", host)
        self.remote.run("enter", remote)
        for worker in (*self.workers, self._monitor):
            worker.result()
        assert HOST == "10.77.0.1"

    def reset(self):
        """Close all sockets of all processes."""
        processes = (*self.workers, self.remote, self._monitor)
        for worker in processes:
            worker.start("reset")
        for worker in processes:
            worker.result()
        self._has_first_check = False

    def first_check(self, settings):
        """Make the first check; the rest of the scenario is in the window of the second one."""
        self._monitor.run("start_monitor", settings)
        self._has_first_check = True

    def report(self):
        """The report of the second check if there was a first one, else of the first."""
        if self._has_first_check:
            return self._monitor.run("check", 0.15)
        return self._monitor.run("start_monitor", LIMITS)

    def connect_to_remote(self, worker, plan):
        """Open connections from a worker, which the remote side accepts."""
        worker.start("connect", plan)
        self.remote.run("accept", len(plan))
        worker.result()

    def add_background(self, rng, count):
        """Give some workers one or two connections that are no culprits."""
        port = rng.randrange(31000, 32000)
        self.remote.run("listen", REMOTES[0], port, 256)
        for worker in rng.sample(self.workers, count):
            self.connect_to_remote(worker, [(None, REMOTES[0], port)] * rng.randrange(1, 3))

    def _close_namespaces(self):
        for namespace in self._namespaces:
            namespace.close()
        self._namespaces = []


@contextmanager
def opened():
    """A testbed that is closed at the end."""
    testbed = Testbed()
    try:
        testbed.open()
        yield testbed
    finally:
        testbed.close()
