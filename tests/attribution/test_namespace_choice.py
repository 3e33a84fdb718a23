"""Which other network namespaces are entered for a high rate."""

import pytest

from network_health.attribution.namespace_choice import chosen
from network_health.model import Finding, Link, Namespace

ETH0, BR0, V1, V2, V3, V4 = 2, 3, 4, 5, 6, 7
MB = 1_000_000


def veth(index, number, **more):
    return Link(f"v{number}", True, index, kind="veth", peer_namespace=number, peer_index=2, **more)


LINKS = {
    ETH0: Link("eth0", True, ETH0),
    BR0: Link("br0", True, BR0, kind="bridge"),
    V1: veth(V1, 1, master=BR0),
    V2: veth(V2, 2, master=BR0),
    V3: veth(V3, 3),
    V4: veth(V4, 4),
}


def namespace(number, veths=("v",), total=1):
    return Namespace(
        100 + number, number, kernel_id=number, veths=veths, label=f"n{number}", tcp=total, udp=0
    )


ALL = [namespace(number) for number in (1, 2, 3, 4)]


def rate(name, direction="outbound"):
    check = "tx_rate" if direction == "outbound" else "rx_rate"
    return Finding(check, name, f"{name} {direction}", 8.0, 1.0)


def labels(findings, carried, namespaces=ALL):
    return [each.label for each in chosen(findings, namespaces, LINKS, carried)]


@pytest.mark.parametrize(
    ("findings", "carried", "expected"),
    [
        # What leaves by the uplink arrives by a veth, and the other way round.
        ([rate("eth0")], {ETH0: (10 * MB, 0), V1: (0, 9 * MB), V2: (MB // 2, 0)}, ["n1"]),
        ([rate("eth0", "inbound")], {ETH0: (0, 10 * MB), V1: (0, MB // 2), V2: (9 * MB, 0)}, ["n2"]),
        # A bridge receives what its ports receive, and sends to them.
        ([rate("br0", "inbound")], {BR0: (0, 10 * MB), V1: (0, 9 * MB), V2: (MB // 2, 0)}, ["n1"]),
        ([rate("br0")], {BR0: (10 * MB, 0), V1: (0, MB // 2), V2: (9 * MB, 0)}, ["n2"]),
        # It sends what it forwards from a veth that is no port.
        ([rate("br0")], {BR0: (10 * MB, 0), V3: (0, 9 * MB)}, ["n3"]),
        # Beside it those that carried much in the other direction, the largest first.
        (
            [rate("eth0")],
            {ETH0: (10 * MB, 0), V1: (0, 9 * MB), V2: (MB, 0), V3: (2 * MB, 0)},
            ["n1", "n3", "n2"],
        ),
        ([rate("eth0")], {ETH0: (10 * MB, 0), V2: (9 * MB, 0)}, []),
        # A veth has the bytes of its other end.
        ([rate("v3")], {V3: (10 * MB, 0), V1: (0, 10 * MB)}, ["n3"]),
        # Less than a tenth is not worth a name; the largest come first, at most three.
        ([rate("eth0")], {ETH0: (10 * MB, 0), V1: (0, 900_000), V2: (0, MB)}, ["n2"]),
        (
            [rate("eth0")],
            {ETH0: (10 * MB, 0), V1: (0, 2 * MB), V2: (0, 3 * MB), V3: (0, MB), V4: (0, 4 * MB)},
            ["n4", "n2", "n1"],
        ),
        # One namespace may explain several findings.
        ([rate("eth0"), rate("v1", "inbound")], {ETH0: (MB, 0), V1: (0, MB)}, ["n1"]),
        # Without bytes nobody is entered; nor for an interface that is gone.
        ([rate("eth0")], {}, []),
        ([rate("eth9")], {ETH0: (MB, 0), V1: (0, MB)}, []),
    ],
)
def test_the_veths_decide(findings, carried, expected):
    """Those namespaces are entered whose veths carried most in the right direction."""
    assert labels(findings, carried) == expected


def test_those_without_a_veth_may_have_a_macvlan():
    """They come last, those with most sockets first; not for a veth, and not without sockets."""
    alone = [namespace(8, (), 5), namespace(9, (), 7), namespace(10, (), 0)]
    carried = {ETH0: (10 * MB, 0), V1: (0, 2 * MB), V3: (MB, 0)}
    assert labels([rate("eth0")], carried, [*ALL, *alone]) == ["n1", "n9", "n8"]
    assert labels([rate("v3")], carried, [*ALL, *alone]) == ["n3"]


def test_a_veth_to_a_namespace_without_processes_is_an_uplink():
    """As the link to a virtual switch: what arrives by other veths may leave by it."""
    carried = {V4: (10 * MB, 0), V1: (0, 9 * MB)}
    assert labels([rate("v4")], carried, ALL[:3]) == ["n1"]


def test_namespaces_that_any_user_can_make():
    """They may take long to read: only their veths count, which a user without rights cannot make."""
    of_user, busy = namespace(8, (), 90_000)._replace(belongs_here=False), ALL[0]._replace(belongs_here=False)
    carried = {ETH0: (10 * MB, 0), V1: (0, 9 * MB)}
    assert labels([rate("eth0")], carried, [of_user, busy]) == ["n1"]
