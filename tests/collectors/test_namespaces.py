"""Labels of network namespaces, and the veth interfaces that lead to them."""

from network_health.collectors import observe_namespaces
from network_health.model import Link, Namespace, Namespaces


def test_namespaces_are_named_and_sorted():
    """The pod, the container, the own name, the unit or the process names it; two labels are never equal."""
    reading = Namespaces(
        (
            Namespace(1, 11, "pause", container="c1", pod="uid", unit="u.scope", tcp=1, udp=0),
            Namespace(2, 12, "nginx", container="web", mounted="m", tcp=9, udp=1),
            Namespace(3, 13, "nginx", container="web", tcp=None, udp=None),
            Namespace(4, 14, "sh", mounted="blue", unit="session-1.scope", tcp=3, udp=0),
            Namespace(5, 15, "dnsmasq", unit="dns.service", tcp=2, udp=0),
            Namespace(6, 16, "sleep", tcp=0, udp=0),
            Namespace(7, 17, tcp=0, udp=0),
        )
    )
    assert [(each.label, each.total) for each in observe_namespaces(reading, ()).entries] == [
        ("container web (2)", 10),
        ("namespace blue", 3),
        ("unit dns.service", 2),
        ("pod uid", 1),
        ("container web (3)", None),
        ("namespace of sleep[16]", 0),
        ("namespace of pid 17", 0),
    ]


def test_a_veth_leads_to_the_namespace_with_the_id_of_its_peer():
    """An interface with another id, or without one, leads to none of them."""
    ids = {"va": 0, "vb": 7, "vc": 0, "eth0": None}
    links = [Link(name, up=True, kind="veth", peer_namespace=number) for name, number in ids.items()]
    reading = Namespaces((Namespace(1, 11, kernel_id=0), Namespace(2, 12, kernel_id=3), Namespace(3, 13)))
    assert [each.veths for each in observe_namespaces(reading, links).entries] == [("va", "vc"), (), ()]
