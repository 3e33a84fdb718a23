"""The owners of sockets in other network namespaces, which are searched where they most likely are."""

import os
import socket
import time
from collections import Counter

import pytest

from network_health.sources import linux
from network_health.sources.linux import owners
from tests.containers import container

pytestmark = pytest.mark.root


def inode_of(process):
    return os.stat(f"/proc/{process.pid}/ns/net").st_ino


def listening(port):
    """A listening socket of the calling thread's namespace."""
    return socket.create_server(("127.0.0.1", port))


def searched(monkeypatch):
    """The pids whose descriptors are read from now on."""
    pids, links = [], owners._socket_links

    def recorded(pid):
        pids.append(pid)
        return links(pid)

    monkeypatch.setattr(owners, "_socket_links", recorded)
    return pids


def test_several_namespaces_are_listed_with_one_search(monkeypatch):
    """Only their own processes are searched, if these have all sockets; one that has ended has its error."""
    with container(connections=2) as one, container(datagrams=3) as two, container() as ended:
        places = [(each.pid, inode_of(each)) for each in (one, two, ended)]
        ended.kill()
        ended.wait()
        pids = searched(monkeypatch)
        *listings, error = linux.read_socket_groups_in(places, time.monotonic() + 60)
    assert isinstance(error, OSError)
    found = []
    for listing in listings:
        found.append(Counter())
        for each in listing.groups:
            for holders, n in each.owners.items():
                found[-1][each.protocol, holders] += n
    assert found == [{("tcp", (one.pid,)): 5}, {("tcp", (two.pid,)): 1, ("udp", (two.pid,)): 3}]
    assert pids == sorted([one.pid, two.pid])


def test_a_socket_of_a_process_elsewhere(monkeypatch):
    """If a process of another namespace has it open, all others are searched after those inside."""
    with container() as box:
        place = box.pid, inode_of(box)
        with linux.call_in_namespace(*place, lambda: listening(9090)) as end:
            inode = os.fstat(end.fileno()).st_ino
            (listing,) = linux.read_socket_groups_in([place], time.monotonic() + 60)
            pids = searched(monkeypatch)
            found = linux.find_owners_first_in({place[1]}, {inode}, time.monotonic() + 60)
    ports = {each.local_port: dict(each.owners) for each in listing.groups}
    assert ports == {8080: {(box.pid,): 1}, 9090: {(os.getpid(),): 1}}
    assert found.pids == {inode: (os.getpid(),)}
    assert (pids[0], pids.count(box.pid)) == (box.pid, 1)
