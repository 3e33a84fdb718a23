"""What the kernel of a made-up host in trouble would tell of its sockets, their holders and its losses."""

import ipaddress
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from network_health.evidence import Socket
from network_health.linux.owners import Owned
from network_health.model import ProcessDetails

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


HOST = packed("10.0.0.5")


@dataclass
class Kernel:
    """Its answers; ``sent`` are the bytes that the two busy sockets have moved so far."""

    sent: int = 0
    refused: int = 3
    lost: dict[str, int] = field(default_factory=lambda: {"rx_crc": 1})
    sees_holders: bool = True

    def tcp(self):
        """2,000 sockets: a flood of one port, a leak towards one remote, a transfer."""
        flood = [("10.0.0.7", "ESTABLISHED")] * 1200 + [("10.0.0.8", "ESTABLISHED")] * 20
        flood += [(f"2001:db8::{n:x}", "ESTABLISHED") for n in range(1, 101)] + [
            ("10.0.0.7", "SYN_RECV")
        ] * 80
        yield from self.listeners()
        for n, (remote, state) in enumerate(flood):
            inode = 0 if state == "SYN_RECV" else NGINX * 100_000 + 10 + n
            yield Socket("tcp", state, HOST, 8080, packed(remote), 1024 + n, 33, inode, 1000 + n)
        for n in range(597):
            row = HOST, 32768 + n, packed("10.0.0.9"), 5432, 1000, APP * 100_000 + n, 5000 + n
            yield Socket("tcp", "CLOSE_WAIT", *row)
        yield from self.moving()

    def moving(self):
        """The transfer, and what a container sends that is of another namespace's process."""
        remote = packed("10.0.0.9"), 873
        row = HOST, 40000, *remote, 34, RSYNC * 100_000, 9000, 0
        yield Socket("tcp", "ESTABLISHED", *row, self.sent, self.sent // 1000)
        yield Socket("tcp", "ESTABLISHED", HOST, 40001, *remote, 0, 77, 9001, 0, self.sent // 20, 0)

    def listeners(self):
        """One whose queue is full."""
        row = bytes(4), 8080, bytes(4), 0, 33, NGINX * 100_000, 1, 0, 0, 0
        yield Socket("tcp", "LISTEN", *row, waiting=129, backlog=128, drops=self.refused)

    def find(self, inodes):
        if self.sees_holders:
            return Owned({inode: HOLDERS[inode] for inode in inodes if inode in HOLDERS})
        return Owned({}, is_refused=True)

    def kinds(self):
        return {2: dict(self.lost)}

    def sources(self):
        if not self.sees_holders:
            raise PermissionError(13, "Permission denied", "/proc/thread-self/net/nf_conntrack")
        return Counter({packed("10.0.0.7"): 30, packed("10.0.0.8"): 10, packed("2001:db8::1"): 10})


@contextmanager
def told_by(kernel, monotonic):
    """The kernel is asked through these, and through nothing else."""
    linux = "network_health.linux"
    udp = [Socket("udp", "NONE", bytes(4), 53, bytes(4), 0, 0, 5, 9999)]
    answers = {
        f"{linux}.sockets.read_tcp": lambda: list(kernel.tcp()),
        f"{linux}.sockets.read_moving": lambda: [*kernel.moving(), *kernel.listeners()],
        f"{linux}.sockets.read_listeners": lambda: list(kernel.listeners()),
        f"{linux}.sockets.read_udp": lambda: udp,
        f"{linux}.loss.read_kinds": kernel.kinds,
        f"{linux}.conntrack.read_sources": kernel.sources,
        f"{linux}.cgroups.read_place": lambda pid: PLACES[pid],
        f"{linux}.procfs.read_process_details": lambda pids: {pid: PEOPLE[pid] for pid in pids},
        f"{linux}.owners.OwnerFinder.find": lambda self, inodes, until_s: kernel.find(inodes),
        f"{linux}.owners.user_name": {33: "www-data", 34: "backup", 1000: "1000", 0: "root"}.get,
        "network_health.ledger.ClosedSockets.take": lambda self: ([], kernel.sees_holders),
        "network_health.ledger.time.monotonic": monotonic,
    }
    patches = [patch(name, answer) for name, answer in answers.items()]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
