"""Changes of routes: built and damaged messages, and the real kernel."""

import errno
import struct

import pytest

from network_health.sources.linux import route_changes
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.route_changes import ChangedRoutes, RouteChanges, parse_changes
from tests.sources.linux.messages import attribute, failed, message

HOST, OTHER, HOST6 = bytes([10, 1, 2, 3]), bytes([10, 2, 2, 3]), bytes([0xFD]) + bytes(15)


def route(kind, family, prefix, *attributes):
    return message(kind, struct.pack("=BB10x", family, prefix), *attributes)


@pytest.mark.parametrize(
    ("datagram", "included"),
    [
        (route(24, 2, 16, attribute(1, bytes([10, 1, 0, 0]))), {HOST}),
        (route(25, 2, 32, attribute(1, OTHER)), {OTHER}),
        (route(24, 2, 0), {HOST, OTHER}),
        (route(25, 10, 0), {HOST6}),
        (message(32, bytes(12)), {HOST, OTHER, HOST6}),
        (route(24, 2, 33, attribute(1, HOST)), set()),
        (route(24, 2, 16, attribute(1, HOST6)), set()),
        (route(24, 128, 16), set()),
        (message(24, bytes(4)), set()),
        (message(16, bytes(16)), set()),
    ],
)
def test_a_change_includes_the_addresses_of_its_network(datagram, included):
    """A default route includes all of its family, a rule all; what is not a route includes none."""
    changed = ChangedRoutes()
    parse_changes(datagram, changed)
    assert {each for each in (HOST, OTHER, HOST6) if changed.include(each)} == included


@pytest.mark.parametrize(("datagram", "error"), [(failed(errno.EPERM), OSError), (b"", KernelFormatError)])
def test_a_damaged_datagram_is_an_error(datagram, error):
    """It is never taken for no change."""
    with pytest.raises(error):
        parse_changes(datagram, ChangedRoutes())


def test_very_many_changes_are_all_routes(monkeypatch):
    """The number of networks is bounded."""
    monkeypatch.setattr(route_changes, "_MAX_NETWORKS", 1)
    changed = ChangedRoutes()
    for last in (1, 2):
        assert changed.include(OTHER) is False
        parse_changes(route(24, 2, 32, attribute(1, bytes([10, 0, 0, last]))), changed)
    assert changed.include(OTHER) is True
    assert len(changed.networks) == 2


@pytest.mark.root
def test_changes_since_the_last_call(namespace):
    """A route that is added, one that is removed with its link, and a rule."""
    host = namespace()

    def run():
        changes, seen = RouteChanges(), []
        for words in (
            ("route", "add", "10.1.0.0/16", "dev", "lo"),
            ("route", "del", "10.1.0.0/16", "dev", "lo"),
            ("addr", "add", "10.1.9.9/32", "dev", "lo"),
            ("rule", "add", "from", "10.9.9.9", "lookup", "100"),
        ):
            host.ip(*words)
            changed = changes.take()
            seen.append((changed.include(HOST), changed.include(OTHER)))
        changes.close()
        return seen

    assert host.call(run) == [(True, False), (True, False), (False, False), (True, True)]
