"""The testbed of the situations with containers: their processes, and the links of the host to them.

=========  ===================  ===========  ================================================================
container  address              link         what it sends to the remote side
=========  ===================  ===========  ================================================================
inside     10.94.0.2            ct0          is routed over va
web, db    172.17.0.2, and .3   v-web, v-db  is masqueraded and leaves by va; both links are ports of cb0
direct     10.77.0.200          va           leaves by va: its own link is a macvlan on it
=========  ===================  ===========  ================================================================

The link fw0 leads to another host, 10.98.0.2, whose packets are routed over va. The monitor sees the
containers, but not the remote side, the VM and this host.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from tests import nftables
from tests.containers import docker, kubelet, new_cgroup, podman
from tests.netns import Namespace
from tests.scenarios.expected import text_of
from tests.scenarios.network import HOST, Network
from tests.scenarios.testbed import Testbed
from tests.scenarios.worker import Worker

HOST_OF_CONTAINERS = "172.17.0.1"
CLIENT = "10.98.0.2"
_BRIDGE = f"""
link add cb0 type bridge
addr add {HOST_OF_CONTAINERS}/24 dev cb0
link set cb0 up
addr add 10.98.0.1/24 dev fw0
"""
_MACVLAN = ("type", "macvlan", "mode", "bridge")
_OPPOSITE = {"send": "receive", "receive": "send"}
#: How often a flow sends.
_PAUSE_S = 0.005
#: The largest datagram that no link cuts.
_DATAGRAM = 1200


@dataclass(frozen=True)
class Container:
    """A process of a container, the link of the host that leads to it, if any, and how reports name it."""

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
    """The network with three more containers and another host."""

    def __init__(self):
        super().__init__()
        self.web, self.db, self.direct, self.client = (Namespace() for _ in range(4))
        self._namespaces += [self.web, self.db, self.direct, self.client]
        self._join("fw0", self.client, "eth0", f"{CLIENT}/24")
        self.client.ip("route", "add", "default", "via", "10.98.0.1")
        self.remote.ip("route", "add", "10.98.0.0/24", "via", HOST)
        self.host.ip("link", "add", "eth0", "link", "va", "netns", self.direct.name, *_MACVLAN)
        self.direct.ip("addr", "add", "10.77.0.200/24", "dev", "eth0")
        self.direct.ip("link", "set", "eth0", "up")
        self.batch(self.host, _BRIDGE)
        for number, name in enumerate(("web", "db"), 2):
            namespace = getattr(self, name)
            self._join(f"v-{name}", namespace, "eth0", f"172.17.0.{number}/24")
            self.host.ip("link", "set", f"v-{name}", "master", "cb0")
            namespace.ip("route", "add", "default", "via", HOST_OF_CONTAINERS)
        self.host.call(nftables.masquerade, "172.17.0.0")


class ContainerTestbed(Testbed):
    """The testbed with a process in each container, and with ``client``, that of the other host."""

    def __init__(self):
        self._stack = ExitStack()
        self.inside = self.web = self.db = self.direct = self.client = None
        super().__init__()

    def open(self):
        """Start all processes, each container's in a cgroup as a runtime names it."""
        super().open()
        self.inside = self._contained(self.container, "10.94.0.2", "ct0", "pod", kubelet())
        self.web = self._contained(Worker("web"), "172.17.0.2", "v-web", "container", docker())
        self.db = self._contained(Worker("db"), "172.17.0.3", "v-db", "container", podman())
        self.direct = self._contained(Worker("direct"), "10.77.0.200", None, "container", docker())
        self.client = Worker("client")

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
            others = (self.remote, self.vm, self.client)
            self._monitor.run("hide", [f"/proc/{each.pid}" for each in others])
        others = (self.network.remote, self.network.vm, self.network.client)
        self._monitor.run("hide", [f"/run/netns/{each.name}" for each in others])

    @property
    def containers(self):
        """The containers that have a link of the host."""
        return [self.inside, self.web, self.db]

    def accept_from_remote(self, worker, address, port):
        """The remote side opens a connection that the worker accepts by its last listener."""
        self.remote.start("connect", [(None, address, port)])
        worker.run("accept", 1)
        self.remote.result()
        self._end_of[worker] = self.remote, -1

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
        containers = [each.worker for each in (self.web, self.db, self.direct) if each]
        return [*super()._processes(), *containers, *([self.client] if self.client else [])]

    def _new_network(self):
        return ContainerNetwork()

    def _places(self):
        network = self.network
        return [
            *super()._places(),
            (self.web.worker, network.web),
            (self.db.worker, network.db),
            (self.direct.worker, network.direct),
            (self.client, network.client),
        ]

    def _forget(self):
        super()._forget()
        self._flows, self._sent_before = [], []
