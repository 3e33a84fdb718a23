"""Packets that no socket makes."""

import socket
import struct


def syn(source, target, source_port, port):
    """An IPv4 packet with the SYN of a connection from any address."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    tcp = struct.pack("!HHIIBBHHH", source_port, port, source_port, 0, 0x50, 0x02, 8192, 0, 0)
    check = _checksum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    return ip + tcp[:16] + struct.pack("!H", check) + tcp[18:]


def _checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
