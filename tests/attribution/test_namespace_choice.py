"""Which other network namespaces are entered for a high rate."""

from network_health.attribution.namespace_choice import chosen
from network_health.model import Finding, Link, Namespace

LINKS = {
    2: Link("eth0", up=True, index=2),
    3: Link("va", up=True, index=3, kind="veth", peer_namespace=5),
    4: Link("vb", up=True, index=4, kind="veth", peer_namespace=6),
}
CARRIED = {2: (1000, 0), 3: (0, 900), 4: (0, 20)}
FINDING = Finding("tx_rate", "eth0", "", 9, 1)


def test_namespaces_that_can_explain_a_rate_are_chosen():
    """Those whose veth carried a part; then those without one, but not one that any user can have made."""
    busy = Namespace(1, 11, tcp=5, udp=0, kernel_id=5, veths=("va",))
    idle = Namespace(2, 12, tcp=9, udp=0, kernel_id=6, veths=("vb",))
    macvlan = Namespace(3, 13, tcp=2, udp=0)
    of_user = Namespace(4, 14, tcp=90_000, udp=0, belongs_here=False)
    behind_veth = busy._replace(belongs_here=False)
    assert chosen([FINDING], [of_user, idle, macvlan, busy], LINKS, CARRIED) == [busy, macvlan]
    assert chosen([FINDING], [of_user, behind_veth], LINKS, CARRIED) == [behind_veth]
