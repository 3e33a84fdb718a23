"""Causes protocol faults in the network namespace of the calling thread."""

import errno
import socket
import struct
import threading
import time
from contextlib import contextmanager

ROUTED = ("10.79.0.2", 9000)


def overflow_listener(connects=40):
    """Open more connections than a listener accepts; returns the number without an answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        clients = [_connecting(server.getsockname()) for _ in range(connects)]
        time.sleep(0.2)  # for the answers to those that fit
        refused = sum(
            client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x02" for client in clients
        )
        for client in clients:
            client.close()
    return refused


def flood_reader(host, datagrams=300):
    """Send datagrams to a socket that is not read until all are sent; returns the number that was lost."""
    with socket.socket(_family(host), socket.SOCK_DGRAM) as reader, _sender(host) as sender:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        reader.bind((host, 0))
        for _ in range(datagrams):
            sender.sendto(b"x" * 1000, reader.getsockname()[:2])
        reader.setblocking(False)
        return datagrams - _drained(reader)


def jam_sender(to, datagrams=200):
    """Send datagrams to a link that is too slow for them; returns the number that the kernel did not take."""
    refused = 0
    with _sender(to[0]) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        sender.setblocking(False)
        for _ in range(datagrams):
            try:
                sender.sendto(b"x" * 1000, to)
            except BlockingIOError:
                refused += 1
    return refused


def track_flows(count):
    """Send one datagram to each of ``count`` unused ports."""
    with _sender("127.0.0.1") as sender:
        for port in range(20_000, 20_000 + count):
            sender.sendto(b"x", ("127.0.0.1", port))


def flood_with_syns(attacker, address, count=200):
    """Send SYNs with unused source addresses from another namespace to a listener with a small backlog."""
    with socket.create_server((address, 9000), backlog=4):
        thread = threading.Thread(target=_send_syns, args=(attacker, address, count))
        thread.start()
        thread.join()


@contextmanager
def sink(namespace, address=ROUTED):
    """A TCP server in another namespace that reads and discards all data."""
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=_sink, args=(namespace, address, ready, stop))
    thread.start()
    assert ready.wait(10)
    yield
    stop.set()
    thread.join()


def push(connections=10, seconds=1.0):
    """Send as much as possible to `ROUTED` over several connections."""
    clients = [socket.create_connection(ROUTED, timeout=10) for _ in range(connections)]
    for client in clients:
        client.setblocking(False)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        for client in clients:
            try:
                client.send(b"x" * 20_000)
            except BlockingIOError:
                continue
        time.sleep(0.01)
    return clients


def connect_until_refused(server, clients):
    """Connect until there is no local port left; the connections are added to ``clients``."""
    while True:
        client = socket.socket(server.family)
        try:
            client.connect(server.getsockname()[:2])
        except OSError as error:
            client.close()
            if error.errno == errno.EADDRNOTAVAIL:
                return
            raise
        clients.append(client)


def enable_tracking():
    """Add an nftables rule that reads the state of connections, so that the kernel tracks them."""
    inet, create, append = 1, 0x400, 0xC00
    hook = _attribute(1, struct.pack("!I", 3)) + _attribute(2, struct.pack("!i", 0))  # output, priority 0
    state = _attribute(1, struct.pack("!I", 1)) + _attribute(2, struct.pack("!I", 0))  # into register 1
    expression = _attribute(1, b"ct\0") + _nested(2, state)
    chain = _attribute(1, b"t\0") + _attribute(3, b"c\0") + _nested(4, hook) + _attribute(7, b"filter\0")
    rule = _attribute(1, b"t\0") + _attribute(2, b"c\0") + _nested(4, _nested(1, expression))
    batch = _nft(0x10, 0, 0, 10) + _nft(0xA00, create, inet, 0, _attribute(1, b"t\0"))
    batch += _nft(0xA03, create, inet, 0, chain) + _nft(0xA06, append, inet, 0, rule) + _nft(0x11, 0, 0, 10)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.settimeout(10)
        netlink.sendto(batch, (0, 0))
        (status,) = struct.unpack_from("=i", netlink.recv(65536), 16)
        assert status == 0, f"nftables: {status}"


def _nft(kind, flags, family, resource, attributes=b""):
    acknowledge = 4 if kind == 0xA06 else 0  # one answer: the batch is applied completely or not at all
    body = struct.pack("!BBH", family, 0, resource) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, 1 | flags | acknowledge, kind, 0) + body


def _attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _nested(kind, value):
    return _attribute(kind | 0x8000, value)


def _family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _sender(host):
    return socket.socket(_family(host), socket.SOCK_DGRAM)


def _connecting(address):
    client = socket.socket()
    client.setblocking(False)
    assert client.connect_ex(address) in (0, errno.EINPROGRESS)
    return client


def _drained(reader):
    count = 0
    while True:
        try:
            reader.recv(2000)
        except BlockingIOError:
            return count
        count += 1


def _sink(namespace, address, ready, stop):
    namespace.enter()
    with socket.create_server(address) as server:
        server.settimeout(0.1)
        ready.set()
        while not stop.is_set():
            try:
                accepted, _ = server.accept()
            except TimeoutError:
                continue
            threading.Thread(target=_discard, args=(accepted,), daemon=True).start()


def _discard(accepted):
    with accepted:
        while accepted.recv(1 << 16):
            continue


def _send_syns(namespace, address, count):
    namespace.enter()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number in range(count):
            source = socket.inet_aton(f"10.77.0.{10 + number % 200}")
            raw.sendto(_syn(source, socket.inet_aton(address), 10_000 + number), (address, 0))


def _syn(source, target, source_port):
    tcp = struct.pack("!HHIIBBHHH", source_port, 9000, source_port, 0, 0x50, 0x02, 8192, 0, 0)
    check = _checksum(source + target + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0, source, target)
    return ip + tcp[:16] + struct.pack("!H", check) + tcp[18:]


def _checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
