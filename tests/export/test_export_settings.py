"""The two settings of the export: what is allowed, and what is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Settings, SettingsOutcome

PATHS = ["/x.prom", "/var/lib/prometheus/node-exporter/network health.prom", "/tmp/ü.prom", "/.prom"]
NO_PATHS = [
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
NO_ADDRESSES = [
    *("9101", "", ":", ":0", ":65536", ":-1", ":http", ":9101 ", ":91 01", ":９１０１", ":9101\n", "::9101"),
    *("127.0.0.1", "127.0.0.1:", "127.0.0:9101", "256.0.0.1:9101", "127.0.0.1:9101:9102", "*:9101"),
    *("[]:9101", "[127.0.0.1]:9101", "::1:9101", "[::1]", "[::1%lo]:9101", "[::1]9101", "[::1:9101"),
    *("host:9101", "example.org:9101", "http://127.0.0.1:9101", "127.0.0.1:9101/metrics", "a\x1b:9101"),
    *("224.0.0.1:9101", "255.255.255.255:9101", "[ff02::1]:9101"),
    *(9101, 9101.0, True, ["127.0.0.1", 9101], {"port": 9101}, b":9101"),
]


def test_both_are_off():
    """Nothing is written and nothing listens unless somebody asks."""
    assert (Settings().prometheus_textfile, Settings().prometheus_listen) == (None, None)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_kept_as_it_is(path):
    """From the root on, ending as node_exporter wants it."""
    assert Settings.from_mapping({"prometheus_textfile": path}).prometheus_textfile == path


@pytest.mark.parametrize(("address", "kept"), ADDRESSES)
def test_an_address_is_kept_with_its_host_written_out(address, kept):
    """A host that is not given is loopback; another one has to be written."""
    assert Settings.from_mapping({"prometheus_listen": address}).prometheus_listen == kept


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("prometheus_textfile", value) for value in NO_PATHS),
        *(("prometheus_listen", value) for value in NO_ADDRESSES),
    ],
)
def test_what_is_not_allowed_is_named_and_changes_nothing(key, value):
    """One line with key, value and what is allowed; what was in force stays."""
    base = Settings(prometheus_textfile="/a.prom", prometheus_listen="127.0.0.1:9101")
    outcome = SettingsOutcome.of({key: value}, base)
    assert outcome.settings == base
    (mistake,) = outcome.errors
    assert mistake.startswith(f"{key}: ")
    assert " is not allowed; give " in mistake
    assert mistake.isprintable()


@pytest.mark.parametrize("key", ["prometheus_textfile", "prometheus_listen"])
def test_null_turns_it_off(key):
    """As with every setting that can be off."""
    base = Settings(prometheus_textfile="/a.prom", prometheus_listen="127.0.0.1:9101")
    assert getattr(SettingsOutcome.of({key: None}, base).settings, key) is None


@given(st.text() | st.from_regex(r"[0-9a-f:.\[\]]*:[0-9]*", fullmatch=True))
def test_what_is_kept_is_allowed(value):
    """Reading what was kept gives the same again."""
    outcome = SettingsOutcome.of({"prometheus_listen": value, "prometheus_textfile": value})
    kept = outcome.settings
    again = {"prometheus_listen": kept.prometheus_listen, "prometheus_textfile": kept.prometheus_textfile}
    assert SettingsOutcome.of(again) == SettingsOutcome(kept, (), ())
