"""A TCP peer that answers only on request, so that a socket of the kernel stays in any state.

The peer is the other end of a TUN device. It needs a network namespace of its own. See tcp(7) and the state
diagram of RFC 9293.
"""

import fcntl
import itertools
import os
import platform
import select
import socket
import struct
import subprocess
import time

FIN, SYN, ACK = 1, 2, 16
TUNSETIFF = 0x800454CA if platform.machine().startswith("ppc") else 0x400454CA
HOSTS = {socket.AF_INET: ("10.9.0.1", "10.9.0.2"), socket.AF_INET6: ("fd09::1", "fd09::2")}
PORT = 80
DEADLINE_S = 60


class Peer:
    """Creates the device ``peer0`` in the namespace of the calling thread; ``close`` removes it.

    Each method with the name of a state creates one socket of a family in that state.
    """

    def __init__(self):
        self._tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._tun, TUNSETIFF, struct.pack("16sH22x", b"peer0", 0x1001))  # IFF_TUN, IFF_NO_PI
        for words in (
            ["addr", "add", "10.9.0.1/24", "dev", "peer0"],
            ["addr", "add", "fd09::1/64", "dev", "peer0", "nodad"],
            ["link", "set", "peer0", "up"],
        ):
            subprocess.run(["ip", *words], check=True)
        self._ports = itertools.count(40000)
        self._open = []

    def close(self):
        """Close every socket and the device."""
        for each in self._open:
            each.close()
        os.close(self._tun)

    def syn_sent(self, family):
        """A connect without an answer."""
        client = self._socket(family)
        client.setblocking(False)
        client.connect_ex((HOSTS[family][1], PORT))
        return client

    def established(self, family, mapped=False):
        """A connection; with ``mapped`` one of an IPv6 socket over IPv4."""
        if mapped:
            client = self._socket(socket.AF_INET6)
            client.setblocking(False)
            client.connect_ex((f"::ffff:{HOSTS[family][1]}", PORT))
        else:
            client = self.syn_sent(family)
        port = client.getsockname()[1]
        seq = self._wait(family, port, SYN)
        self._send(family, PORT, port, 1000, seq + 1, SYN | ACK)
        self._wait(family, port, ACK)
        client.setblocking(True)
        return client, port, seq + 1

    def fin_wait1(self, family):
        """Closed here, without an answer."""
        client, port, seq = self.established(family)
        client.shutdown(socket.SHUT_WR)
        self._wait(family, port, FIN)
        return client, port, seq

    def fin_wait2(self, family):
        """Half closed here, with acknowledgement."""
        client, port, seq = self.fin_wait1(family)
        self._send(family, PORT, port, 1001, seq + 1, ACK)
        return client, port, seq

    def fin_wait2_orphan(self, family):
        """Fully closed here, with acknowledgement: the kernel keeps a time-wait socket in this state."""
        client, _, _ = self.fin_wait2(family)
        client.close()

    def closing(self, family):
        """Closed by both ends at the same time."""
        client, port, seq = self.fin_wait1(family)
        self._send(family, PORT, port, 1001, seq, FIN | ACK)
        return client

    def time_wait(self, family):
        """Closed by both ends, first here."""
        client, port, seq = self.fin_wait1(family)
        self._send(family, PORT, port, 1001, seq + 1, FIN | ACK)
        client.close()

    def close_wait(self, family):
        """Closed by the peer."""
        client, port, seq = self.established(family)
        self._send(family, PORT, port, 1001, seq, FIN | ACK)
        self._wait(family, port, ACK)
        return client, port

    def last_ack(self, family):
        """Closed by the peer, then here, without an answer."""
        client, port = self.close_wait(family)
        client.close()
        self._wait(family, port, FIN)

    def syn_recv(self, family, listener, data=b""):
        """A SYN from the peer, without an acknowledgement; with ``data`` it requests TCP Fast Open."""
        here = listener.getsockname()[1]
        there = next(self._ports)
        options = bytes([34, 2, 1, 1]) if data else b""  # an empty Fast Open cookie, padded
        self._send(family, there, here, 1000, 0, SYN, options, data)
        self._wait(family, here, SYN)

    def listen(self, family, host=None, **options):
        """A listening socket."""
        listener = socket.create_server((host or HOSTS[family][0], 0), family=family, **options)
        self._open.append(listener)
        return listener

    def bound(self, family, kind=socket.SOCK_STREAM):
        """A socket with a local address only."""
        bound = self._socket(family, kind)
        bound.bind((HOSTS[family][0], 0))
        return bound

    def _socket(self, family, kind=socket.SOCK_STREAM):
        self._open.append(socket.socket(family, kind))
        return self._open[-1]

    def _wait(self, family, port, flag):
        """Read segments until one from ``port`` has ``flag``; returns its sequence number."""
        deadline = time.monotonic() + DEADLINE_S
        while select.select([self._tun], [], [], max(0, deadline - time.monotonic()))[0]:
            packet = os.read(self._tun, 65536)
            header = {4: (packet[0] & 15) * 4, 6: 40}[packet[0] >> 4]
            segment = packet[header:]
            protocol = packet[9] if header < 40 else packet[6]
            if protocol != socket.IPPROTO_TCP or (header < 40) != (family == socket.AF_INET):
                continue
            source, _, seq, _, _, flags = struct.unpack_from("!HHIIBB", segment)
            if source == port and flags & flag:
                return seq
        raise TimeoutError(f"no segment with flag {flag} from port {port}")

    def _send(self, family, source, port, seq, ack, flags, options=b"", data=b""):
        here, there = (socket.inet_pton(family, host) for host in HOSTS[family])
        size = 20 + len(options) + len(data)
        offset = (20 + len(options)) << 2
        head = struct.pack("!HHIIBBHHH", source, port, seq, ack, offset, flags, 65535, 0, 0)
        pseudo = there + here + struct.pack("!HH", socket.IPPROTO_TCP, size)
        segment = head[:16] + checksum(pseudo + head + options + data) + head[18:] + options + data
        if family == socket.AF_INET:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, socket.IPPROTO_TCP, 0) + there + here
            ip = ip[:10] + checksum(ip) + ip[12:]
        else:
            ip = struct.pack("!IHBB", 6 << 28, size, socket.IPPROTO_TCP, 64) + there + here
        os.write(self._tun, ip + segment)


def checksum(data):
    """The Internet checksum, RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def every_state(peer):
    """Create sockets of both families in every state, also unconnected ones."""
    for family in HOSTS:
        listener = peer.listen(family)
        peer.syn_recv(family, listener)
        peer.syn_recv(family, listener)
        for _ in range(3):
            peer.established(family)
        for state in ("syn_sent", "fin_wait1", "fin_wait2", "fin_wait2_orphan", "closing", "time_wait"):
            getattr(peer, state)(family)
        peer.time_wait(family)
        peer.close_wait(family)
        peer.last_ack(family)
        peer.bound(family)
        peer.bound(family, socket.SOCK_DGRAM)
        connected = peer.bound(family, socket.SOCK_DGRAM)
        connected.connect((HOSTS[family][1], 9))
    peer.established(socket.AF_INET, mapped=True)
    peer.listen(socket.AF_INET6, "::", dualstack_ipv6=True)


#: The sockets of `every_state`.
EVERY_STATE = {
    "ESTABLISHED": 7,
    "SYN_SENT": 2,
    "SYN_RECV": 4,
    "FIN_WAIT1": 2,
    "FIN_WAIT2": 4,
    "TIME_WAIT": 4,
    "CLOSE_WAIT": 2,
    "LAST_ACK": 2,
    "LISTEN": 3,
    "CLOSING": 2,
    "NONE": 4,
}
