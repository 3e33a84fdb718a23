"""The network of the scenarios: a host with two links, a bridge, a macvlan, a vxlan, a container and a VM.

======  ==============================  =============================================================
link    address of the host             carries
======  ==============================  =============================================================
va      10.77.0.1, fd77::1, fe80::77    to the remote side; also what goes over mv0 and vx0
vc      10.78.0.1, fe80::77             to the remote side
mv0     10.96.0.1                       a macvlan on va
vx0     10.97.0.1                       a vxlan over va
br0     10.95.0.1                       its ports eth1 (to the remote side) and tap1 (to the VM)
ct0     10.94.0.1                       to the container, whose packets are forwarded
lo      10.99.0.1                       an address that is used over va
======  ==============================  =============================================================

Both va and vc have 10.90.0.1, and the peers of both have fe80::78. The remote side has 10.92.0.1, which is
reached over va unless a rule or a bound device says vc, and 10.93.0.1, which answers over vc what was sent
over va.
"""

from tests.netns import Namespace, veth

HOST, HOST6 = "10.77.0.1", "fd77::1"
REMOTES = [f"10.77.0.{n}" for n in range(2, 42)]
#: On the second link.
SECOND_REMOTES = [f"10.78.0.{n}" for n in range(2, 12)]
#: Addresses in a /64 of their own, and addresses in one /64.
REMOTES6 = [f"fd77:0:0:{n:x}::2" for n in range(1, 21)]
ONE_NETWORK6 = [f"fd77::{n:x}" for n in range(2, 32)]
#: The links that no lower link of the host carries again: each byte crosses one of them in each direction.
#: The last three are the ports of a bond and of a VRF, which only the situations of other_links.py have.
LOWEST_LINKS = ("lo", "va", "vc", "eth1", "tap1", "ct0", "bp0", "bp1", "vr0")

_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.arp_ignore": 1,
    "net.ipv4.conf.all.arp_announce": 2,
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
}
_HOST = f"""
addr add {HOST6}/48 dev va nodad
addr add 10.90.0.1/32 dev va
addr add 10.90.0.1/32 dev vc
addr add 10.91.0.1/32 dev vc
addr add 10.99.0.1/32 dev lo
addr add fe80::77/64 dev va nodad
addr add fe80::77/64 dev vc nodad
link add link va name mv0 type macvlan mode bridge
addr add 10.96.0.1/24 dev mv0
link set mv0 up
link add vx0 type vxlan id 5 dstport 4789 local {HOST} remote {REMOTES[0]}
addr add 10.97.0.1/24 dev vx0
link set vx0 up
link add br0 type bridge
link set eth1 master br0
link set tap1 master br0
addr add 10.95.0.1/24 dev br0
link set br0 up
route add 10.92.0.1 via 10.77.0.2 dev va
route add 10.92.0.1 via 10.78.0.2 dev vc metric 200
route add 10.93.0.1 via 10.77.0.2 dev va
route add 10.66.0.0/16 via 10.77.0.2 dev va
route add default via 10.78.0.2 dev vc table 100
mptcp limits set subflow 2 add_addr_accepted 2
"""
_REMOTE = f"""
addr add 10.92.0.1/32 dev lo
addr add 10.93.0.1/32 dev lo
addr add fe80::78/64 dev vb nodad
addr add fe80::78/64 dev vd nodad
addr add 10.96.0.2/24 dev vb
link add vx0 type vxlan id 5 dstport 4789 local {REMOTES[0]} remote {HOST}
addr add 10.97.0.2/24 dev vx0
link set vx0 up
route add 10.99.0.1 via 10.77.0.1
route add 10.90.0.1 via 10.77.0.1
route add 10.91.0.1 via 10.78.0.1
route add 10.94.0.0/24 via 10.77.0.1
route add 10.78.0.0/24 dev vd table 200
route add default via 10.78.0.1 dev vd table 200
rule add from 10.78.0.0/24 lookup 200
rule add from 10.93.0.1 lookup 200
mptcp endpoint add 10.78.0.2 dev vd signal
"""


class Network:
    """The namespaces of the host, the remote side, the VM and the container; ``close`` removes them."""

    def __init__(self):
        self._namespaces = [Namespace() for _ in range(4)]
        self.host, self.remote, self.vm, self.container = self._namespaces
        for namespace in self._namespaces:
            namespace.tool("sysctl", "-q", "-w", *(f"{name}={value}" for name, value in _SYSCTLS.items()))
        veth(self.host, self.remote)
        veth(self.host, self.remote, ("vc", "vd"), ("10.78.0.1/24", "10.78.0.2/24"))
        self._join("eth1", self.remote, "ve", "10.95.0.2/24")
        self._join("tap1", self.vm, "eth0", "10.95.0.100/24")
        self._join("ct0", self.container, "eth0", "10.94.0.2/24")
        self.host.ip("addr", "add", "10.94.0.1/24", "dev", "ct0")
        self.container.ip("route", "add", "default", "via", "10.94.0.1")
        many = [f"addr add {a}/24 dev vb" for a in REMOTES[1:]]
        many += [f"addr add {a}/24 dev vd" for a in SECOND_REMOTES[1:]]
        many += [f"addr add {a}/64 dev vb nodad" for a in (*REMOTES6, *ONE_NETWORK6)]
        self.batch(self.host, _HOST)
        self.batch(self.remote, _REMOTE + "\n".join(many))

    def close(self):
        """Remove the namespaces and all their links."""
        for namespace in self._namespaces:
            namespace.close()

    def _join(self, link, other, peer, address):
        self.host.ip("link", "add", link, "type", "veth", "peer", "name", peer, "netns", other.name)
        self.host.ip("link", "set", link, "up")
        other.ip("addr", "add", address, "dev", peer)
        other.ip("link", "set", peer, "up")

    @staticmethod
    def batch(namespace, commands):
        """Run commands of ``ip`` in one of the namespaces, one a line."""
        namespace.tool("sh", "-c", f"ip -batch - <<'END'\n{commands.strip()}\nEND")
