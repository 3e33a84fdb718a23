"""The testbed of the situations with containers: their processes, and the links of the host to them.

=========  ===================  ===========  ================================================================
container  address              link         what it sends to the remote side
=========  ===================  ===========  ================================================================
inside     10.94.0.2            ct0          is routed over va
web, db    172.17.0.2, and .3   v-web, v-db  is masqueraded and leaves by va; both links are ports of cb0
=========  ===================  ===========  ================================================================

The monitor sees the containers, but not the remote side and the VM, which stand for other hosts.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from tests import nftables
from tests.containers import docker, kubelet, new_cgroup, podman
from tests.netns import Namespace
from tests.scenarios.expected import text_of
from tests.scenarios.network import Network
from tests.scenarios.testbed import Testbed
from tests.scenarios.worker import Worker

HOST_OF_CONTAINERS = "172.17.0.1"
_BRIDGE = f"""
link add cb0 type bridge
addr add {HOST_OF_CONTAINERS}/24 dev cb0
link set cb0 up
"""
_OPPOSITE = {"send": "receive", "receive": "send"}
#: How often a flow sends.
_PAUSE_S = 0.005
#: The largest datagram that no link cuts.
_DATAGRAM = 1200


@dataclass(frozen=True)
class Container:
    """A process of a container, the link of the host that leads to it, and how reports name it."""

    worker: Worker
    address: str
    link: str
    label: str

    @property
    def words(self):
        """How a clause names the process."""
        return ("by", text_of(self.worker), "in", *self.label.split())


@dataclass(frozen=True)
class _Flow:
    """Bytes that go from now on; ``links`` have those of a process in a direction: (link, act, worker)."""

    sender: Worker
    number: int
    links: tuple


class ContainerNetwork(Network):
    """The network with two more containers."""

    def __init__(self):
        super().__init__()
        self.web, self.db = Namespace(), Namespace()
        self._namespaces += [self.web, self.db]
        self.batch(self.host, _BRIDGE)
        for number, name in enumerate(("web", "db"), 2):
            namespace = getattr(self, name)
            self._join(f"v-{name}", namespace, "eth0", f"172.17.0.{number}/24")
            self.host.ip("link", "set", f"v-{name}", "master", "cb0")
            namespace.ip("route", "add", "default", "via", HOST_OF_CONTAINERS)
        self.host.call(nftables.masquerade, "172.17.0.0")


class ContainerTestbed(Testbed):
    """The testbed with processes in three containers; ``inside``, ``web`` and ``db`` are these."""

    def __init__(self):
        self._stack = ExitStack()
        self.inside = self.web = self.db = None
        super().__init__()

    def open(self):
        """Start all processes, each container's in a cgroup as a runtime names it."""
        super().open()
        self.inside = self._contained(self.container, "10.94.0.2", "ct0", "pod", kubelet())
        self.web = self._contained(Worker("web"), "172.17.0.2", "v-web", "container", docker())
        self.db = self._contained(Worker("db"), "172.17.0.3", "v-db", "container", podman())

    def close(self):
        """End all processes and remove their cgroups."""
        super().close()
        self._stack.close()

    def renew_network(self):
        """Move all processes to a new network whose remote side and VM the monitor does not see."""
        is_first = self.network is None
        super().renew_network()
        if is_first:  # not earlier: new namespaces are seen only where there were some before
            self._monitor.run("own_mounts")
            self._monitor.run("hide", [f"/proc/{each.pid}" for each in (self.remote, self.vm)])
        others = (self.network.remote, self.network.vm)
        self._monitor.run("hide", [f"/run/netns/{each.name}" for each in others])

    @property
    def containers(self):
        """All containers."""
        return [self.inside, self.web, self.db]

    def flow(self, worker, act, octets, links, opposite_links=()):
        """Send so many bytes every 5 ms over the worker's last connection, from one end to the other.

        On ``opposite_links`` what the worker sends comes in: the links of the host to its container.
        """
        far, position = self._end_of[worker]
        sender, receiver = (worker, far) if act == "send" else (far, worker)
        receiver.run("keep_discarding")
        number = sender.run("keep_sending", -1 if sender is worker else position, octets, _PAUSE_S)
        self._add_flow(worker, act, links, opposite_links, sender, number)

    def mirror(self, worker, act, links, opposite_links=()):
        """The last flow is also that of a process at its other end."""
        last = self._flows[-1]
        self._add_flow(worker, act, links, opposite_links, last.sender, last.number)

    def datagrams(self, worker, address, port, count, links, opposite_links=()):
        """Send so many datagrams every 5 ms to the remote side from one socket that has a peer."""
        self.remote.run("bind_udp_port", address, port)
        worker.run("connect_udp", address, port, 1)
        number = worker.run("keep_sending", -1, _DATAGRAM, _PAUSE_S, count)
        self._add_flow(worker, "send", links, opposite_links, worker, number)
        return f"{address}:{port}"

    def pass_a_second(self):
        """Let a second of the time between two checks pass."""
        self._monitor.run("pass_a_second")

    def first_check(self, settings):
        """Make the first check, with containers; the bytes of flows count from here."""
        self._sent_before = self._sent()
        super().first_check({"namespaces": "auto", **settings})

    def report(self):
        """The report, after which the bytes of each flow are known."""
        content = super().report()
        for flow, before, now in zip(self._flows, self._sent_before, self._sent(), strict=True):
            for link, act, worker in flow.links:
                self.count(worker, act, now - before, (link,))
        return content

    def _contained(self, worker, address, link, kind, name_and_cgroup):
        name, cgroup = name_and_cgroup
        folder = self._stack.enter_context(new_cgroup(cgroup))
        worker.run("write", f"{folder}/cgroup.procs", "0")
        return Container(worker, address, link, f"{kind} {name}")

    def _add_flow(self, worker, act, links, opposite_links, sender, number):
        over = [(link, act, worker) for link in links]
        over += [(link, _OPPOSITE[act], worker) for link in opposite_links]
        self._flows.append(_Flow(sender, number, tuple(over)))

    def _sent(self):
        return [flow.sender.run("sent_by", flow.number) for flow in self._flows]

    def _processes(self):
        boxes = [each.worker for each in (self.web, self.db) if each]
        return [*super()._processes(), *boxes]

    def _new_network(self):
        return ContainerNetwork()

    def _places(self):
        network = self.network
        return [*super()._places(), (self.web.worker, network.web), (self.db.worker, network.db)]

    def _forget(self):
        super()._forget()
        self._flows, self._sent_before = [], []
