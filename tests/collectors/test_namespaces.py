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
            Namespace(8, 18, "x", container="web", manager=1000, tcp=0, udp=0),
            Namespace(9, 19, "x", unit="dns.service", manager=1000, tcp=0, udp=0),
            Namespace(10, 20, "a; eth0 is down", tcp=0, udp=0),
        )
    )
    assert [(each.label, each.total) for each in observe_namespaces(reading, ()).entries] == [
        ("container web", 10),
        ("namespace blue", 3),
        ("unit dns.service", 2),
        ("pod uid", 1),
        ("container web (3)", None),
        ("namespace of sleep[16]", 0),
        ("namespace of pid 17", 0),
        ("container web of user 1000", 0),
        ("unit dns.service of user 1000", 0),
        ("namespace of a, eth0 is down[20]", 0),
    ]


def labels(before, **pids):
    """The labels of namespaces of containers with the name ``web``, by inode; the next check's reading."""
    reading = Namespaces(tuple(Namespace(int(i[1:]), pid, container="web") for i, pid in pids.items()))
    observed = observe_namespaces(reading, (), before)
    return {each.inode: each.label for each in observed.entries}, observed


def test_a_namespace_keeps_its_label():
    """Another one that appears in the same container, or ends, does not change it, whatever its pids."""
    alone = labels(None, n1=50)
    second = labels(alone[1], n1=50, n2=7)
    third = labels(second[1], n2=7)
    assert alone[0] == {1: "container web"}
    assert second[0] == {1: "container web", 2: "container web (2)"}
    assert third[0] == {2: "container web (2)"}
    assert labels(third[1], n2=7, n3=60)[0] == {2: "container web (2)", 3: "container web"}
    assert labels(None, n2=7, n1=50)[0] == {2: "container web", 1: "container web (1)"}


def test_a_name_with_an_inode_is_not_another_label():
    """A container whose name looks like a label with an inode does not get that of another namespace."""
    entries = Namespace(1, 11, container="web (3)"), Namespace(2, 12, container="web")
    reading = Namespaces((*entries, Namespace(3, 13, container="web")))
    assert [each.label for each in observe_namespaces(reading, ()).entries] == [
        "container web (3)",
        "container web",
        "container web (3) (3)",
    ]


def test_a_veth_leads_to_the_namespace_with_the_id_of_its_peer():
    """An interface with another id, or without one, leads to none of them."""
    ids = {"va": 0, "vb": 7, "vc": 0, "eth0": None}
    links = [Link(name, up=True, kind="veth", peer_namespace=number) for name, number in ids.items()]
    reading = Namespaces((Namespace(1, 11, kernel_id=0), Namespace(2, 12, kernel_id=3), Namespace(3, 13)))
    assert [each.veths for each in observe_namespaces(reading, links).entries] == [("va", "vc"), (), ()]
