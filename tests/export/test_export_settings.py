"""The two settings of the export: which values are allowed, and how they are stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Settings, SettingsOutcome

PATHS = ["/x.prom", "/var/lib/prometheus/node-exporter/network health.prom", "/tmp/ü.prom", "/.prom"]
BAD_PATHS = [
    *(
        "x.prom",
        "~/x.prom",
        "./x.prom",
        "/x",
        "/x.prom/",
        "/x.PROM",
        "/x.prom ",
        "",
        ".prom",
        "file:///x.prom",
    ),
    *("/x\n.prom", "/x\0.prom", "/\ud800.prom", "/\x1b[31m.prom"),
    *(3, True, False, ["/x.prom"], {"path": "/x.prom"}, b"/x.prom", 2.5),
]
ADDRESSES = [
    ("127.0.0.1:9101", "127.0.0.1:9101"),
    (":9101", "127.0.0.1:9101"),
    ("localhost:9101", "127.0.0.1:9101"),
    ("[::1]:9101", "[::1]:9101"),
    ("0.0.0.0:1", "0.0.0.0:1"),
    ("[::]:65535", "[::]:65535"),
    ("10.1.2.3:09101", "10.1.2.3:9101"),
    ("[2001:DB8:0::1]:9101", "[2001:db8::1]:9101"),
]
BAD_ADDRESSES = [
    *("9101", "", ":", ":0", ":65536", ":-1", ":http", ":9101 ", ":91 01", ":９１０１", ":9101\n", "::9101"),
    *("127.0.0.1", "127.0.0.1:", "127.0.0:9101", "256.0.0.1:9101", "127.0.0.1:9101:9102", "*:9101"),
    *("[]:9101", "[127.0.0.1]:9101", "::1:9101", "[::1]", "[::1%lo]:9101", "[::1]9101", "[::1:9101"),
    *("host:9101", "example.org:9101", "http://127.0.0.1:9101", "127.0.0.1:9101/metrics", "a\x1b:9101"),
    *("224.0.0.1:9101", "255.255.255.255:9101", "[ff02::1]:9101"),
    *(9101, 9101.0, True, ["127.0.0.1", 9101], {"port": 9101}, b":9101"),
]


def test_both_are_off():
    """By default nothing is written and nothing listens."""
    assert (Settings().prometheus_textfile, Settings().prometheus_listen) == (None, None)


@pytest.mark.parametrize("path", PATHS)
def test_an_allowed_path_is_kept_unchanged(path):
    """A path is absolute and ends in .prom."""
    assert Settings.from_mapping({"prometheus_textfile": path}).prometheus_textfile == path


@pytest.mark.parametrize(("address", "kept"), ADDRESSES)
def test_an_address_is_kept_with_its_host_written_out(address, kept):
    """Without a host it is 127.0.0.1; a name other than localhost is not resolved."""
    assert Settings.from_mapping({"prometheus_listen": address}).prometheus_listen == kept


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("prometheus_textfile", value) for value in BAD_PATHS),
        *(("prometheus_listen", value) for value in BAD_ADDRESSES),
    ],
)
def test_a_bad_value_is_an_error_and_changes_nothing(key, value):
    """The error is one line with key, value and what is allowed; the setting stays."""
    base = Settings(prometheus_textfile="/a.prom", prometheus_listen="127.0.0.1:9101")
    outcome = SettingsOutcome.of({key: value}, base)
    assert outcome.settings == base
    (mistake,) = outcome.errors
    assert mistake.startswith(f"{key}: ")
    assert " is not allowed; give " in mistake
    assert mistake.isprintable()


@pytest.mark.parametrize("key", ["prometheus_textfile", "prometheus_listen"])
def test_null_turns_it_off(key):
    """``None`` turns each of the two off."""
    base = Settings(prometheus_textfile="/a.prom", prometheus_listen="127.0.0.1:9101")
    assert getattr(SettingsOutcome.of({key: None}, base).settings, key) is None


@given(st.text() | st.from_regex(r"[0-9a-f:.\[\]]*:[0-9]*", fullmatch=True))
def test_a_stored_value_is_allowed(value):
    """Reading the stored values again gives the same settings."""
    outcome = SettingsOutcome.of({"prometheus_listen": value, "prometheus_textfile": value})
    kept = outcome.settings
    again = {"prometheus_listen": kept.prometheus_listen, "prometheus_textfile": kept.prometheus_textfile}
    assert SettingsOutcome.of(again) == SettingsOutcome(kept, {}, ())
