"""What the kernel of a made-up host in trouble would tell of its sockets, their holders and its losses."""

import ipaddress
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from network_health.model import BYTE_COUNTER, ProcessDetails, Socket, SocketGroup
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.owners import SocketOwners
from network_health.sources.linux.socket_groups import SocketListing
from network_health.sources.linux.tcp_bytes import TcpBytes

NGINX, RSYNC, APP = 17, 4321, 900
PLACES = {NGINX: (None, "nginx.service"), RSYNC: (None, "backup.service"), APP: ("4f4f4f4f4f4f", None)}
PEOPLE = {
    NGINX: ProcessDetails("nginx", user="www-data"),
    RSYNC: ProcessDetails("rsync", user="backup"),
    APP: ProcessDetails("app", user="1000"),
}
#: Inodes begin with the digits of their holder.
HOLDERS = {pid * 100_000 + n: pid for pid in PEOPLE for n in range(3000)}


def packed(address):
    return ipaddress.ip_address(address).packed


def bundle(state, local, remote, count, holder):
    """Of TCP sockets; ``holder`` is a pid, ``None`` where no process has them, `HIDDEN` where one does."""
    holders = {} if holder in (None, HIDDEN) else {holder: count}
    return SocketGroup("tcp", state, *local, *remote, count, count if holder is None else 0, holders)


HOST = packed("10.0.0.5")
#: The inode of a socket that nobody is found for.
HIDDEN = 77


@dataclass
class Kernel:
    """Its answers; ``sent`` are the bytes that the two busy sockets have moved so far."""

    sent: int = 0
    refused: int = 3
    lost: dict[str, int] = field(default_factory=lambda: {"rx_crc": 1})
    sees_holders: bool = True

    def bundles(self):
        """2,000 sockets: a flood of one port, a leak towards one remote, a transfer."""
        yield bundle("LISTEN", (bytes(4), 8080), (bytes(4), 0), 1, NGINX)
        for remote, state, count in [
            ("10.0.0.7", "ESTABLISHED", 1200),
            ("10.0.0.8", "ESTABLISHED", 20),
            *[(f"2001:db8::{n:x}", "ESTABLISHED", 1) for n in range(1, 101)],
            ("10.0.0.7", "SYN_RECV", 80),
        ]:
            holder = None if state == "SYN_RECV" else NGINX
            yield bundle(state, (HOST, 8080), (packed(remote), 0), count, holder)
        yield bundle("CLOSE_WAIT", (HOST, 0), (packed("10.0.0.9"), 5432), 597, APP)
        yield bundle("ESTABLISHED", (HOST, 0), (packed("10.0.0.9"), 873), 1, RSYNC)
        yield bundle("ESTABLISHED", (HOST, 0), (packed("10.0.0.9"), 873), 1, HIDDEN)
        yield SocketGroup("udp", "NONE", bytes(4), 53, bytes(4), 0, 1, 0, {})

    def listing(self):
        bundles = tuple(self.bundles())
        if self.sees_holders:
            return SocketListing(bundles)
        users = Counter({(33, 0): 1321, (1000, 0): 597, (34, 0): 1, (0, 0): 2})
        return SocketListing(tuple(b._replace(owners={}) for b in bundles), access_denied=True, users=users)

    def moving(self, before, *, is_last=False):
        """The transfer, and what a container sends that is of another namespace's process."""
        remote = packed("10.0.0.9"), 873
        row = "ESTABLISHED", HOST, 40000, *remote, RSYNC * 100_000, 9000
        transfer = Socket(*row, self.sent, self.sent // 1000)
        hidden = Socket("ESTABLISHED", HOST, 40001, *remote, HIDDEN, 9001, self.sent // 20, 0)
        marks = ByteCounters()
        for each in (transfer, hidden):
            marks.add(each.cookie, BYTE_COUNTER.pack(each.sent, each.received, each.inode))
        changed = [] if before is None else [transfer, hidden]
        return TcpBytes(before, marks, changed, self.listeners())

    def listeners(self):
        """One whose queue is full."""
        row = "LISTEN", bytes(4), 8080, bytes(4), 0, NGINX * 100_000, 1
        return [Socket(*row, waiting=129, backlog=128, drops=self.refused)]

    def find(self, inodes):
        if self.sees_holders:
            return SocketOwners({inode: HOLDERS[inode] for inode in inodes if inode in HOLDERS})
        return SocketOwners({}, access_denied=True)

    def kinds(self):
        return {2: dict(self.lost)}

    def sources(self):
        if not self.sees_holders:
            raise PermissionError(13, "Permission denied", "/proc/thread-self/net/nf_conntrack")
        return Counter({packed("10.0.0.7"): 30, packed("10.0.0.8"): 10, packed("2001:db8::1"): 10})


@contextmanager
def told_by(kernel, monotonic):
    """The kernel is asked through these, and through nothing else."""
    lookup, window = "network_health.attribution.lookup", "network_health.attribution.tcp_window"
    answers = {
        f"{lookup}.read_socket_groups": lambda until_s: kernel.listing(),
        f"{lookup}.read_listeners": kernel.listeners,
        f"{lookup}.read_loss_kinds": kernel.kinds,
        f"{lookup}.read_conntrack_sources": kernel.sources,
        f"{lookup}.read_container_and_unit": lambda pid: PLACES[pid],
        f"{lookup}.read_process_details": lambda pids: {pid: PEOPLE[pid] for pid in pids},
        f"{lookup}.user_name": {33: "www-data", 34: "backup", 1000: "1000", 0: "root"}.get,
        "network_health.attribution.attributor.read_listeners": kernel.listeners,
        "network_health.attribution.attributor.read_loss_kinds": kernel.kinds,
        "network_health.sources.linux.owners.OwnerFinder.find": lambda self, inodes, until_s: kernel.find(
            inodes
        ),
        f"{window}.read_tcp_bytes": kernel.moving,
        f"{window}.ClosedSockets.take": lambda self: ([], kernel.sees_holders),
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
