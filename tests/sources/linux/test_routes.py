"""Routes: built answers and damaged ones, and a comparison with ``ip route get``."""

import errno
import json
import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.sources.linux import routes
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.routes import Flow, Route, Rules
from tests.netns import veth
from tests.sources.linux.messages import DONE, attribute, failed, message, u32

TO = socket.inet_aton("10.1.0.9")
GATEWAY = socket.inet_aton("10.0.0.254")


def answer(route_type, *attributes):
    return message(24, struct.pack("=8BI", 2, 32, 0, 0, 254, 0, 0, route_type, 0), *attributes)


def look_up(flows):
    return routes.read_routes(flows, routes.read_rules())


def rule(family, tos, *attributes):
    return message(32, struct.pack("=5BxxBI", family, 0, 0, tos, 254, 1, 0), *attributes)


@pytest.mark.parametrize(
    ("datagram", "route"),
    [
        (answer(1, u32(4, 3)), Route(3, TO)),
        (answer(1, u32(4, 3), attribute(5, GATEWAY)), Route(3, GATEWAY)),
        (answer(2, u32(4, 1)), Route(1, TO)),
        (answer(7, u32(4, 1)), None),
        (answer(6, u32(4, 1)), None),
        (answer(1), None),
    ],
)
def test_a_route_has_its_interface_and_its_next_hop(datagram, route):
    """Without a gateway the destination is the next hop; a route that delivers nothing is no route."""
    assert routes.parse_route(datagram, TO) == route


@pytest.mark.parametrize(
    ("datagram", "error"),
    [
        (failed(errno.ENETUNREACH), OSError),
        (b"", KernelFormatError),
        (message(24, bytes(4)), KernelFormatError),
        (message(16, bytes(12), u32(4, 3)), KernelFormatError),
        (answer(1, attribute(4, b"\3")), KernelFormatError),
        (answer(1, u32(4, 3))[:-2], KernelFormatError),
    ],
)
def test_a_damaged_route_is_an_error(datagram, error):
    """No route, or an answer in an unknown format, is an error, never another interface."""
    with pytest.raises(error):
        routes.parse_route(datagram, TO)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule(2, 0), rule(10, 0)], {4: Rules(), 16: Rules()}),
        ([rule(2, 0, u32(10, 5))], {4: Rules(on_mark=True)}),
        ([rule(2, 0, attribute(22, b"\6"))], {4: Rules(on_ports=True)}),
        ([rule(10, 0, attribute(24, bytes(4)))], {16: Rules(on_ports=True)}),
        ([rule(2, 8), rule(2, 0, u32(10, 5))], {4: Rules(on_mark=True, on_unknown=True)}),
        ([rule(10, 0, attribute(25, b"\1"))], {16: Rules(on_unknown=True)}),
        ([rule(128, 8, u32(10, 5))], {}),
    ],
)
def test_rules_say_what_a_route_depends_on(rules, expected):
    """Marks, ports, and what sockets do not tell, by address family; other families do not count."""
    found = {}
    assert routes.parse_rules(b"".join(rules) + DONE, found) is True
    assert found == expected


@given(st.binary(max_size=100))
def test_any_answer_is_a_route_or_an_error(data):
    """Random bytes give a result or a documented error."""
    for parse in (routes.parse_route, routes.parse_rules):
        try:
            parse(data, TO if parse is routes.parse_route else {})
        except (KernelFormatError, OSError):
            continue


def test_a_route_that_depends_on_unknown_values_is_unknown():
    """Without the mark, the ports or a known type of service no route is looked up."""
    flow = Flow(b"", TO, mark=None)
    for rules in (Rules(on_mark=True), Rules(on_ports=True), Rules(on_unknown=True)):
        assert routes.read_routes([flow], {4: rules}) == [None]


POLICY = """
rule add fwmark 5 lookup 7
rule add uidrange 1234-1234 lookup 7
rule add from 10.7.0.1 lookup 7
rule add ipproto tcp dport 80 lookup 7
route add 203.0.113.0/24 via 10.8.0.2
route add 203.0.113.0/24 via 10.7.0.2 table 7
route add unreachable 198.51.100.0/24
addr add fd00::1/64 dev eth0 nodad
addr add 192.0.2.1/32 dev lo
"""


@pytest.fixture
def host(namespace):
    """A host with two links, and policy rules."""
    here, one, two = namespace(), namespace(), namespace()
    veth(here, one, ("eth0", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    veth(here, two, ("eth1", "p"), ("10.7.0.1/24", "10.7.0.2/24"))
    for line in POLICY.split("\n")[1:-1]:
        here.ip(*line.split())
    return here


CASES = {
    "main table": (("10.8.0.1", "203.0.113.9"), {}, "eth0"),
    "service address": (("192.0.2.1", "203.0.113.9"), {}, "eth0"),
    "source rule": (("10.7.0.1", "203.0.113.9"), {}, "eth1"),
    "mark": (("10.8.0.1", "203.0.113.9"), {"mark": 5}, "eth1"),
    "mark that is not known": (("10.8.0.1", "203.0.113.9"), {"mark": None}, None),
    "user": (("10.8.0.1", "203.0.113.9"), {"uid": 1234}, "eth1"),
    "port": (("10.8.0.1", "203.0.113.9"), {"ports": (40000, 80)}, "eth1"),
    "bound": (("10.8.0.1", "10.8.0.2"), {"device": "eth1"}, "eth1"),
    "loopback": (("127.0.0.1", "127.0.0.1"), {}, "lo"),
    "own address": (("10.7.0.1", "10.8.0.1"), {}, "lo"),
    "own IPv6 address": (("fd00::1", "fd00::1"), {}, "lo"),
    "IPv6": (("fd00::1", "fd00::2"), {}, "eth0"),
    "link-local": (("fe80::1", "fe80::2"), {"device": "eth1"}, "eth1"),
    "unreachable": (("10.8.0.1", "198.51.100.1"), {}, None),
    "no route": (("10.8.0.1", "192.0.3.1"), {}, None),
    "source of nobody": (("10.99.0.1", "203.0.113.9"), {}, None),
}


@pytest.mark.root
def test_the_kernel_finds_the_route(host):
    """Policy rules, bound sockets, local destinations and missing routes have the kernel's own answer."""
    indexes = {each["ifname"]: each["ifindex"] for each in json.loads(host.tool("ip", "-j", "link"))}
    flows = []
    for (source, destination), more, _ in CASES.values():
        more = {"ports": (40000, 81), **more}
        more["device"] = indexes.get(more.get("device"), 0)
        flows.append(Flow(ip_address(source).packed, ip_address(destination).packed, **more))
    names = {index: name for name, index in indexes.items()}
    found = host.call(look_up, flows)
    assert dict(zip(CASES, [names[r.device] if r else None for r in found], strict=True)) == {
        case: expected for case, (_, _, expected) in CASES.items()
    }


@pytest.mark.root
def test_what_arrives_has_the_route_of_this_host(host):
    """As the kernel forwards it: by the rules for its source, to itself, or not at all."""
    for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
        host.sysctl(f"net.{name}", 1)
    indexes = {each["ifname"]: each["ifindex"] for each in json.loads(host.tool("ip", "-j", "link"))}
    cases = {
        ("10.8.0.9", "10.7.0.2", "eth0"): "eth1",
        ("10.8.0.9", "203.0.113.9", "eth0"): "eth0",
        ("10.8.0.9", "10.7.0.1", "eth0"): "lo",
        ("10.8.0.9", "192.0.3.1", "eth0"): None,
        ("10.99.0.9", "10.8.0.2", "eth1"): "eth0",
        ("fd00::9", "fd00::2", "eth0"): "eth0",
    }
    flows = [
        Flow(
            ip_address(source).packed,
            ip_address(destination).packed,
            ports=(40000, 81),
            arrives=indexes[name],
        )
        for source, destination, name in cases
    ]
    names = {index: name for name, index in indexes.items()}
    found = host.call(look_up, flows)
    assert dict(zip(cases, [names[r.device] if r else None for r in found], strict=True)) == cases


@pytest.mark.root
def test_equal_paths_are_chosen_by_ports_as_the_kernel_does(host):
    """With two equal paths and a hash over ports, each flow has the interface of ``ip route get``."""
    host.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
    host.ip("route", "add", "198.18.0.1", "nexthop", "via", "10.8.0.2", "nexthop", "via", "10.7.0.2")
    here, there = ip_address("192.0.2.1").packed, ip_address("198.18.0.1").packed
    flows = [Flow(here, there, ports=(40000 + n, 443)) for n in range(12)]
    words = ("route", "get", "198.18.0.1", "from", "192.0.2.1", "ipproto", "tcp", "dport", "443", "sport")
    expected = [json.loads(host.ip("-j", *words, str(flow.ports[0])))[0]["dev"] for flow in flows]
    names = {each["ifindex"]: each["ifname"] for each in json.loads(host.tool("ip", "-j", "link"))}
    assert [names[route.device] for route in host.call(look_up, flows)] == expected
    assert set(expected) == {"eth0", "eth1"}


@pytest.fixture
def two_paths(namespace):
    """A host with two equal paths to the networks 10.50.0.0/24 and fd50::/64."""
    here = namespace()
    for n in (1, 2):
        next_hop = namespace()
        veth(here, next_hop, (f"u{n}", "p"), (f"10.{n}.0.1/24", f"10.{n}.0.2/24"))
        for end, name, address in ((here, f"u{n}", f"fd0{n}::1/64"), (next_hop, "p", f"fd0{n}::2/64")):
            end.ip("addr", "add", address, "dev", name, "nodad")
        hardware_address = next_hop.links()["p"]["address"]  # so that no packet waits for it
        here.ip("neigh", "add", f"fd0{n}::2", "lladdr", hardware_address, "dev", f"u{n}")
    here.ip("addr", "add", "fd77::1/128", "dev", "lo", "nodad")
    for network, hops in (("10.50.0.0/24", "10.{}.0.2"), ("fd50::/64", "fd0{}::2")):
        paths = [word for n in (1, 2) for word in ("nexthop", "via", hops.format(n))]
        here.ip("route", "add", network, *paths)
    for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
        here.sysctl(f"net.{name}", 1)
    return here


def send_packets(protocol, destination):
    """More packets than the neighbours exchange among themselves; the answers do not matter."""
    kind = socket.SOCK_STREAM if protocol == socket.IPPROTO_TCP else socket.SOCK_DGRAM
    for _ in range(40):
        with socket.socket(socket.AF_INET6, kind) as end:
            end.setblocking(False)
            end.bind(("fd77::1", 0))
            end.connect_ex((destination, 9))
            if kind == socket.SOCK_DGRAM:
                end.send(bytes(100))


@pytest.mark.root
@pytest.mark.parametrize("protocol", [socket.IPPROTO_TCP, socket.IPPROTO_UDP])
def test_equal_paths_of_ipv6_are_those_of_the_packets(two_paths, protocol):
    """The kernel's choice depends on the protocol as well; the interfaces count where the packets went."""
    destinations = [f"fd50::{n:x}" for n in range(1, 17)]
    flows = [
        Flow(ip_address("fd77::1").packed, ip_address(each).packed, protocol=protocol)
        for each in destinations
    ]
    used = []
    for each in destinations:
        before = two_paths.links()
        two_paths.call(send_packets, protocol, each)
        now = two_paths.links()
        sent = {
            name: now[name]["stats64"]["tx"]["packets"] - before[name]["stats64"]["tx"]["packets"]
            for name in ("u1", "u2")
        }
        used.append(max(sent, key=sent.__getitem__))
    names = {link["ifindex"]: name for name, link in two_paths.links().items()}
    assert [names[route.device] for route in two_paths.call(look_up, flows)] == used
    assert set(used) == {"u1", "u2"}
    unknown = [each._replace(protocol=0) for each in flows]
    assert two_paths.call(look_up, unknown) == [None] * len(flows)


@pytest.mark.root
@pytest.mark.parametrize("policy", [0, 1])
def test_which_of_equal_paths_a_forwarded_packet_takes(two_paths, policy):
    """It is known if the addresses alone decide; a flow label, or ports, do not reach the kernel's answer."""
    two_paths.sysctl("net.ipv4.fib_multipath_hash_policy", policy)
    arrives = two_paths.links()["u1"]["ifindex"]
    ends = {
        "equal": ("10.1.0.9", "10.50.0.1"),
        "single": ("10.1.0.9", "10.2.0.2"),
        "local": ("10.1.0.9", "10.2.0.1"),
        "equal, IPv6": ("fd01::9", "fd50::1"),
        "single, IPv6": ("fd01::9", "fd02::2"),
        "local, IPv6": ("fd01::9", "fd02::1"),
    }
    flows = [
        Flow(ip_address(here).packed, ip_address(there).packed, ports=(40000, 81), arrives=arrives)
        for here, there in ends.values()
    ]
    found = dict(zip(ends, two_paths.call(look_up, flows), strict=True))
    names = {link["ifindex"]: name for name, link in two_paths.links().items()}
    assert (found.pop("equal") is None) == (policy == 1)
    assert {case: route and names[route.device] for case, route in found.items()} == {
        "single": "u2",
        "local": "lo",
        "equal, IPv6": None,
        "single, IPv6": "u2",
        "local, IPv6": "lo",
    }


@pytest.mark.root
def test_the_number_of_routes_is_bounded(host, monkeypatch):
    """What is beyond the bound is unknown; a route that is known already costs none."""
    monkeypatch.setattr(routes, "MAX_ROUTES", 2)
    flows = [Flow(b"", ip_address(f"10.8.0.{n}").packed, ports=(1, 2)) for n in (2, 3, 4, 2)]
    assert [bool(route) for route in host.call(look_up, flows)] == [True, True, False, True]
