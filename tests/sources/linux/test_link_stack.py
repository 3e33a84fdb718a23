"""Which interfaces are below another one: built answers of all kinds, and a comparison with ``ip``."""

import json
import socket
import struct

import pytest

from network_health.sources.linux import rtnetlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.link_stack import LinkStack
from tests.netns import veth
from tests.sources.linux.messages import attribute, message, u32

HERE, THERE = (socket.inet_aton(f"10.0.0.{n}") for n in (1, 2))
HERE6, THERE6 = (socket.inet_pton(socket.AF_INET6, f"fd00::{n}") for n in (1, 2))
LOWER, MASTER, ELSEWHERE = u32(5, 7), u32(10, 8), u32(37, 0)


def stack(kind, data=b"", *attributes):
    """What is parsed of one link of a kind, with its data and its other attributes."""
    info = attribute(18, attribute(1, kind.encode() + b"\0") + attribute(2, data))
    body = struct.pack("=BxHiII", 0, 1, 9, 0x41, 0)
    found = {}
    assert rtnetlink.parse_links(message(16, body, attribute(3, b"x0\0"), *attributes, info), found) is False
    return LinkStack(*(getattr(found[9], name) for name in LinkStack._fields))


@pytest.mark.parametrize(
    ("kind", "data", "attributes", "expected"),
    [
        ("", b"", (), LinkStack()),
        ("", b"", (MASTER,), LinkStack(master=8)),
        ("", b"", (u32(10, 0),), LinkStack()),
        ("vlan", b"", (LOWER, MASTER), LinkStack(master=8, lower=7)),
        ("vlan", b"", (LOWER, ELSEWHERE), LinkStack(lower_elsewhere=(0, 7))),
        ("veth", b"", (LOWER,), LinkStack()),
        ("netkit", b"", (LOWER,), LinkStack()),
        ("macvlan", u32(1, 2), (LOWER,), LinkStack(lower=7)),
        ("macvlan", u32(1, 4), (LOWER,), LinkStack(lower=7, delivers_to_siblings=True)),
        ("macvtap", u32(1, 4), (LOWER,), LinkStack(lower=7, delivers_to_siblings=True)),
        ("ipvlan", attribute(2, b"\0\0"), (LOWER,), LinkStack(lower=7, delivers_to_siblings=True)),
        ("ipvlan", attribute(2, struct.pack("=H", 2)), (LOWER,), LinkStack(lower=7)),
        ("bond", attribute(1, b"\1") + u32(2, 4), (), LinkStack(active_port=4)),
        ("bond", attribute(1, b"\6") + u32(2, 4), (), LinkStack()),
        ("bond", attribute(1, b"\1"), (), LinkStack()),
        ("sit", u32(1, 0) + attribute(2, HERE) + attribute(3, THERE), (), LinkStack(tunnel=(HERE, THERE))),
        ("sit", attribute(2, HERE) + attribute(3, bytes(4)), (), LinkStack(tunnel=(HERE, b""))),
        ("ipip", u32(1, 3) + attribute(3, THERE), (), LinkStack(lower=3, tunnel=(b"", THERE))),
        ("ip6tnl", attribute(3, THERE6), (LOWER,), LinkStack(lower=7, tunnel=(b"", THERE6))),
        ("gre", attribute(6, HERE) + attribute(7, THERE), (), LinkStack(tunnel=(HERE, THERE))),
        ("gretap", attribute(6, HERE) + attribute(7, THERE), (), LinkStack(tunnel=(HERE, THERE))),
        ("vti", attribute(4, HERE) + attribute(5, THERE), (), LinkStack(tunnel=(HERE, THERE))),
        ("geneve", attribute(2, THERE), (), LinkStack(tunnel=(b"", THERE))),
        ("geneve", attribute(7, THERE6), (), LinkStack(tunnel=(b"", THERE6))),
        ("vxlan", attribute(2, THERE) + attribute(4, HERE), (), LinkStack(tunnel=(HERE, THERE))),
        ("vxlan", attribute(16, THERE6) + attribute(17, HERE6), (), LinkStack(tunnel=(HERE6, THERE6))),
        ("vxlan", u32(3, 5), (), LinkStack(lower=5, tunnel=(b"", b""))),
        ("vxlan", u32(3, 5) + attribute(2, THERE), (ELSEWHERE,), LinkStack()),
    ],
)
def test_each_kind_has_its_own_attributes(kind, data, attributes, expected):
    """The lower interface, the master, the active port and the tunnel are where the kind has them."""
    assert stack(kind, data, *attributes) == expected


@pytest.mark.parametrize(
    ("kind", "data", "attributes"),
    [
        ("vlan", b"", (attribute(5, b"\1"),)),
        ("vlan", b"", (attribute(10, bytes(8)),)),
        ("bond", attribute(1, b"\1") + attribute(2, b"\1\2"), ()),
        ("vxlan", attribute(2, b"\1\2\3"), ()),
        ("vxlan", b"\1\2", ()),
        ("macvlan", struct.pack("=HH", 90, 1), ()),
    ],
)
def test_damaged_attributes_are_an_error(kind, data, attributes):
    """An index or an address of another length is an error, never another interface."""
    with pytest.raises(KernelFormatError):
        stack(kind, data, *attributes)


@pytest.mark.root
def test_the_stack_is_that_of_ip(namespace):
    """Masters and lower interfaces on the real kernel are those of ``ip``; a veth has no lower one."""
    here, there = namespace(), namespace()
    veth(here, there, ("eth0", "p"))
    for words in (
        "br0 type bridge",
        "mv0 link eth0 type macvlan mode bridge",
        "mv1 link eth0 type macvlan mode private",
        "vx0 type vxlan id 5 remote 10.77.0.2 dstport 4789",
        "vx1 type vxlan id 6 group 239.1.1.1 dev eth0 dstport 4790",
        "va type veth peer name vb",
    ):
        here.ip("link", "add", *words.split())
    here.ip("link", "set", "va", "master", "br0")
    listed = {each["ifindex"]: each for each in json.loads(here.tool("ip", "-j", "-d", "link"))}
    found = here.call(rtnetlink.read_links)
    names = {index: link.name for index, link in found.items()}
    for index, link in found.items():
        is_pair = link.kind == "veth"
        lower = listed[index].get("link") or listed[index].get("linkinfo", {}).get("info_data", {}).get(
            "link"
        )
        assert names.get(link.master) == listed[index].get("master"), link
        assert names.get(link.lower) == (None if is_pair else lower), link
        assert link.hardware_address.hex(":") == listed[index]["address"]
    by_name = {link.name: link for link in found.values()}
    assert [by_name[f"mv{n}"].delivers_to_siblings for n in range(2)] == [True, False]
    assert by_name["vx0"].tunnel == (b"", socket.inet_aton("10.77.0.2"))
