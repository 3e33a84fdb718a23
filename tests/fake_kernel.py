"""A fake kernel: sockets, owners and losses of a host on which every limit is breached."""

import ipaddress
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from network_health.attribution.interface_paths import InterfacePaths, Way
from network_health.attribution.interface_traffic import RoutedTraffic
from network_health.model import BYTE_COUNTER, Link, ProcessDetails, Socket, SocketGroup
from network_health.sources.linux import ChangedRoutes
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.owners import SocketOwners
from network_health.sources.linux.socket_groups import SocketListing
from network_health.sources.linux.tcp_bytes import TcpBytes

NGINX, RSYNC, APP = 17, 4321, 900
PLACES = {NGINX: (None, "nginx.service"), RSYNC: (None, "backup.service"), APP: ("4f4f4f4f4f4f", None)}
PROCESSES = {
    NGINX: ProcessDetails("nginx", user="www-data"),
    RSYNC: ProcessDetails("rsync", user="backup"),
    APP: ProcessDetails("app", user="1000"),
}
#: An inode begins with the digits of its owner's pid.
OWNERS = {pid * 100_000 + n: pid for pid in PROCESSES for n in range(3000)}


def packed(address):
    return ipaddress.ip_address(address).packed


def group(state, local, remote, count, owner):
    """A group of TCP sockets; ``owner`` is a pid, ``None`` if no process has them open, or `HIDDEN`."""
    owners = {} if owner in (None, HIDDEN) else {(owner,): count}
    return SocketGroup("tcp", state, *local, *remote, count, count if owner is None else 0, owners)


HOST = packed("10.0.0.5")
#: The inode of a socket whose owner is not visible.
HIDDEN = 77


@dataclass
class FakeKernel:
    """The answers of the kernel; ``sent`` is the byte counter of the busiest socket."""

    sent: int = 0
    refused: int = 3
    lost: dict[str, int] = field(default_factory=lambda: {"rx_crc": 1})
    sees_owners: bool = True

    def groups(self):
        """2,000 sockets: a flood of one port, a leak to one remote, a transfer."""
        yield group("LISTEN", (bytes(4), 8080), (bytes(4), 0), 1, NGINX)
        for remote, state, count in [
            ("10.0.0.7", "ESTABLISHED", 1200),
            ("10.0.0.8", "ESTABLISHED", 20),
            *[(f"2001:db8::{n:x}", "ESTABLISHED", 1) for n in range(1, 101)],
            ("10.0.0.7", "SYN_RECV", 80),
        ]:
            owner = None if state == "SYN_RECV" else NGINX
            yield group(state, (HOST, 8080), (packed(remote), 0), count, owner)
        yield group("CLOSE_WAIT", (HOST, 0), (packed("10.0.0.9"), 5432), 597, APP)
        yield group("ESTABLISHED", (HOST, 0), (packed("10.0.0.9"), 873), 1, RSYNC)
        yield group("ESTABLISHED", (HOST, 0), (packed("10.0.0.9"), 873), 1, HIDDEN)
        yield SocketGroup("udp", "NONE", bytes(4), 53, bytes(4), 0, 1, 0, {})

    def listing(self):
        groups = tuple(self.groups())
        if self.sees_owners:
            return SocketListing(groups)
        users = Counter({(33, 0): 1321, (1000, 0): 597, (34, 0): 1, (0, 0): 2})
        return SocketListing(tuple(g._replace(owners={}) for g in groups), access_denied=True, users=users)

    def tcp_bytes(self, before, resent_before, deadline_s, *, is_last=False):
        """The transfer, and a socket whose process is in another namespace."""
        remote = packed("10.0.0.9"), 873
        row = "ESTABLISHED", HOST, 40000, *remote, RSYNC * 100_000, 9000
        transfer = Socket(*row, self.sent, self.sent // 1000)
        hidden = Socket("ESTABLISHED", HOST, 40001, *remote, HIDDEN, 9001, self.sent // 20, 0)
        counters = ByteCounters()
        for each in (transfer, hidden):
            counters.add(each.cookie, BYTE_COUNTER.pack(each.sent, each.received, each.inode))
        changed = [] if before is None else [transfer, hidden]
        return TcpBytes(before, resent_before, counters, changed=changed, listeners=self.listeners())

    def carried(self):
        """The bytes of eth0, with headers, which is the interface of every route."""
        return {2: (self.sent and 942_375_000, 0)}

    def routed(self, traffic, _):
        """All traffic is routed to eth0."""
        return RoutedTraffic(InterfacePaths({2: Link("eth0", True, 2)}), {Way(2): traffic})

    def listeners(self):
        """A listener whose queue is full."""
        row = "LISTEN", bytes(4), 8080, bytes(4), 0, NGINX * 100_000, 1
        return [Socket(*row, waiting=129, backlog=128, drops=self.refused)]

    def find(self, inodes):
        if self.sees_owners:
            return SocketOwners({inode: (OWNERS[inode],) for inode in inodes if inode in OWNERS})
        return SocketOwners({}, access_denied=True)

    def loss_kinds(self):
        return {2: dict(self.lost)}

    def conntrack_sources(self):
        if not self.sees_owners:
            raise PermissionError(13, "Permission denied", "/proc/thread-self/net/nf_conntrack")
        return Counter({packed("10.0.0.7"): 30, packed("10.0.0.8"): 10, packed("2001:db8::1"): 10})


@contextmanager
def patched_by(kernel, monotonic):
    """Replace everything through which attribution reads the kernel."""
    linux, window = "network_health.sources.linux", "network_health.attribution.traffic_window"
    answers = {
        f"{linux}.read_socket_groups": lambda deadline_s: kernel.listing(),
        f"{linux}.read_listeners": kernel.listeners,
        f"{linux}.read_half_open": list,
        f"{linux}.read_lossy_udp_sockets": list,
        f"{linux}.read_loss_kinds": kernel.loss_kinds,
        f"{linux}.read_conntrack_sources": kernel.conntrack_sources,
        f"{linux}.read_container_and_unit": lambda pid: PLACES[pid],
        f"{linux}.read_process_details": lambda pids: {pid: PROCESSES[pid] for pid in pids},
        f"{linux}.read_users": lambda hidden: Counter({(34, 0): sum(hidden.values())}),
        f"{linux}.user_name": {33: "www-data", 34: "backup", 1000: "1000", 0: "root"}.get,
        f"{linux}.OwnerFinder.find": lambda self, inodes, deadline_s, closed=(): kernel.find(inodes),
        f"{window}.read_carried": lambda: (kernel.carried(), {}),
        f"{linux}.read_ip_counters": lambda: None,
        f"{window}.read_ip_counters": lambda: None,
        f"{window}.read_tcp_bytes": kernel.tcp_bytes,
        "network_health.attribution.interface_traffic.read_routed": kernel.routed,
        "network_health.attribution.attributor.read_start_time": lambda pid: 0.0,
        "network_health.attribution.attributor.read_descriptor_count": lambda pid: None,
        f"{window}.ClosedSockets.take": lambda self, *args, **more: ([], kernel.sees_owners),
        f"{window}.RouteChanges.take": lambda self: ChangedRoutes(),
        f"{window}.time.monotonic": monotonic,
    }
    patches = [patch(name, answer) for name, answer in answers.items()]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
