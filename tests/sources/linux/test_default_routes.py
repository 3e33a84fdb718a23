"""Default routes in the kernel's tables, recorded on Linux."""

import pytest

from network_health.sources.linux import read_default_routes
from network_health.sources.linux.default_routes import _IPV4, _IPV6, parse_default_routes

ROUTE = (
    b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   \n"
    b"vc\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0   \n"
    b"*\t00000000\t00000000\t0200\t0\t0\t9\t00000000\t0\t0\t0   \n"
    b"va\t0000030A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0   \n"
    b"vd\t00000000\t00000000\t0001\t0\t0\t0\t0000000"
)
ZERO, NOWHERE = b"0" * 32, b" 00000400 00000001 00000000 "
IPV6_ROUTE = (
    ZERO + b" 00 " + ZERO + b" 00 " + ZERO + NOWHERE + b"00000001       ve\n"
    b"00000000000000000000000000000001 80 " + ZERO + b" 00 " + ZERO + NOWHERE + b"80200001       lo\n"
    + ZERO + b" 00 " + ZERO + b" 00 " + ZERO + NOWHERE + b"00200200       lo\n"
)  # fmt: skip


@pytest.mark.parametrize(
    ("table", "layout", "names"),
    [(ROUTE, _IPV4, ["vc"]), (IPV6_ROUTE, _IPV6, ["ve"]), (b"", _IPV4, []), (b"", _IPV6, [])],
)
def test_default_routes(table, layout, names):
    """A route that rejects packets is none, nor is the one at the end that was cut."""
    assert list(parse_default_routes(table, *layout)) == names


def test_an_unknown_format():
    """It is an error, not an empty table."""
    with pytest.raises(ValueError, match="a route of 2 columns"):
        list(parse_default_routes(b"no table\n", *_IPV4))


@pytest.mark.root
def test_a_large_table(namespace, tmp_path):
    """The default routes are found among thousands of others."""
    space = namespace()
    space.ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    space.ip("link", "set", "d0", "up")
    space.ip("link", "set", "d1", "up")
    routes = "".join(f"route add 10.{n // 250}.{n % 250}.0/24 dev d0\n" for n in range(5000))
    (tmp_path / "routes").write_text(routes)
    space.ip("-batch", tmp_path / "routes")
    space.ip("route", "add", "default", "dev", "d1")
    space.ip("-6", "route", "add", "default", "dev", "d0")
    assert space.call(read_default_routes) == {"d0", "d1"}
