"""Next hops and bridge ports: damaged answers, and a bridge and macvlans on the real kernel."""

import errno
import json
import socket
import struct
import time
from ipaddress import ip_address

import pytest

from network_health.sources.linux import forwarding_table, netlink, next_hops
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.routes import Route
from tests.netns import veth
from tests.sources.linux.messages import DONE, attribute, failed, message

MAC, OTHER = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"


def entry(index, flags, *attributes):
    return message(28, struct.pack("=BxxxiHBB", 7, index, 0x80, flags, 0), *attributes)


def test_a_neighbour_has_its_address_and_state():
    """A neighbour that is not resolved has no address."""
    assert next_hops.parse_address(entry(4, 0, attribute(2, MAC))) == MAC
    assert next_hops.parse_address(entry(4, 0)) == b""
    assert next_hops.parse_state(entry(4, 0)) == 0x80


@pytest.mark.parametrize(
    ("datagram", "error"),
    [
        (failed(errno.ENOENT), OSError),
        (message(28, bytes(4)), KernelFormatError),
        (message(16, bytes(16)), KernelFormatError),
        (b"", KernelFormatError),
    ],
)
def test_a_damaged_entry_is_an_error(datagram, error):
    """A missing entry and an answer in an unknown format are errors, never another interface."""
    with pytest.raises(error):
        next_hops.parse_address(datagram)
    with pytest.raises(error):
        next_hops.parse_state(datagram)
    with pytest.raises(error):
        forwarding_table.parse(datagram, set(), lambda each: True)


TABLE = (
    entry(4, 2, attribute(2, MAC)),
    entry(4, 0, attribute(2, OTHER)),
    entry(5, 2, attribute(2, OTHER)),
    entry(4, 2, attribute(2, b"\x33\x33\0\0\0\1")),
    entry(4, 2),
    entry(6, 0, attribute(2, MAC)),
    entry(7, 0, attribute(2, MAC)),
)


def test_unicast_addresses_have_their_interface(monkeypatch):
    """Multicast addresses do not count; an address behind several ports is behind none that is known."""

    def dump(_, request, empty, parse):
        found = empty()
        assert parse(b"".join(TABLE) + DONE, found) is True
        return found

    monkeypatch.setattr(netlink, "dump", dump)
    assert forwarding_table.read_unicast_addresses(4) == {MAC}
    assert forwarding_table.read_bridge_ports(9, {MAC, OTHER}) == {OTHER: 4}
    assert forwarding_table.read_bridge_ports(9, {MAC}) == {}


@pytest.mark.root
def test_the_port_behind_a_bridge_is_known(namespace):
    """Each neighbour on a bridge has the port that it is behind; one that never answered has none."""
    here, one, two = namespace(), namespace(), namespace()
    here.ip("link", "add", "br0", "type", "bridge")
    for n, each in enumerate((one, two)):
        veth(here, each, (f"eth{n}", "p"), (f"10.99.{n}.1/32", f"10.9.0.{2 + n}/24"))
        here.ip("addr", "flush", "dev", f"eth{n}")
        here.ip("link", "set", f"eth{n}", "master", "br0")
    here.ip("addr", "add", "10.9.0.1/24", "dev", "br0")
    here.ip("link", "set", "br0", "up")

    def read():
        deadline = time.monotonic() + 60
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while time.monotonic() < deadline:
                for n in (2, 3, 4):
                    sender.sendto(b"x", (f"10.9.0.{n}", 9))
                time.sleep(0.1)
                index = json.loads(here.ip("-j", "link", "show", "br0"))[0]["ifindex"]
                hops = [Route(index, ip_address(f"10.9.0.{n}").packed) for n in (2, 3, 4)]
                addresses = next_hops.read_hardware_addresses(hops)
                ports = forwarding_table.read_bridge_ports(index, set(addresses.values()))
                if len(ports) == 2:
                    unanswered = next_hops.read_unanswered(hops)
                    return [ports.get(addresses.get(hop)) for hop in hops], [h in unanswered for h in hops]
        return None

    names = {each["ifindex"]: each["ifname"] for each in json.loads(here.tool("ip", "-j", "link"))}
    ports, unanswered = here.call(read)
    assert [names.get(port) for port in ports] == ["eth0", "eth1", None]
    assert unanswered == [False, False, True]


@pytest.mark.root
def test_a_macvlan_of_another_namespace_is_known_by_its_address(namespace):
    """The lower interface has the addresses of all macvlans on it, in whatever namespace they are."""
    here, peer, container = namespace(), namespace(), namespace()
    veth(here, peer, ("eth0", "p"))
    for each, name in ((here, "mv0"), (container, "mv1")):
        here.ip("link", "add", "link", "eth0", "name", name, "type", "macvlan", "mode", "bridge")
        if each is container:
            here.ip("link", "set", name, "netns", container.name)
        each.ip("link", "set", name, "up")
    links = {**here.links(), **container.links()}
    index = json.loads(here.ip("-j", "link", "show", "eth0"))[0]["ifindex"]
    found = here.call(forwarding_table.read_unicast_addresses, index)
    assert {address.hex(":") for address in found} == {links[f"mv{n}"]["address"] for n in range(2)}
