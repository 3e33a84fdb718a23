"""The evidence of lost packets with every field that it can have."""

from collections import Counter

from network_health.attribution import listener_culprits, loss_culprits, retransmit_culprits, udp_culprits
from network_health.model import HalfOpen, Owner, Socket, SocketResent, UdpSocket

HOST, PEER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9])
ONE, OTHER = (1,), (2,)


def owner_of(holders):
    return Owner(holders[0], "app", "www", "4f4f4f4f4f4f", "app.service")


def _listeners():
    owned = [(Socket("LISTEN", HOST, 80, bytes(4), 0, n, n, waiting=1, backlog=9), (n,)) for n in (1, 2)]
    half_open = [HalfOpen(80, 9, {PEER: 9}), HalfOpen(81, 1, {PEER: 1})]
    refused = listener_culprits.of_listeners(owned, Counter({1: 3, 2: 4}), half_open, owner_of, 5)[1]
    return refused, listener_culprits.of_half_open(owned, half_open, owner_of, 5)[1]


def _retransmits():
    def resent(port, state="ESTABLISHED"):
        return SocketResent(Socket(state, HOST, 80, PEER, port, 0, 0), 5, 100)

    rows = [(resent(1), ONE), (resent(2), OTHER), (resent(3, "SYN_RECV"), ONE)]
    return retransmit_culprits.of_retransmits(rows, [], {80}, owner_of, 5)[1]


def _udp():
    sockets = [UdpSocket(HOST, 53, PEER, 99, n, n, 1, 900, 1000) for n in (1, 2)]
    pids = {1: ONE, 2: OTHER}
    received = udp_culprits.of_receivers(sockets, Counter({1: 1, 2: 1}), pids, owner_of, 5)[1]
    return received, udp_culprits.of_senders(sockets, pids, owner_of, 5)[1]


def loss_evidence():
    """``metrics.culprits`` of each check."""
    refused, half_open = _listeners()
    received, sent = _udp()
    return {
        "retransmits": _retransmits(),
        "listen_drops": refused,
        "syn_cookies": half_open,
        "udp_receive": received,
        "udp_send": sent,
        "softnet_dropped": loss_culprits.of_cpus({0: 9}, 5)[1],
    }
