"""The setting ``redact``: what it masks is masked everywhere, and nothing else changes."""

import ipaddress
import json

from hypothesis import given
from hypothesis import strategies as st

from network_health.reporting.redact import ADDRESS, USER, redacted
from network_health.reporting.report import Report

ADDRESSES = st.ip_addresses().map(str)


def report(details="", **metrics):
    return Report("healthy", "INFO", details, metrics, 1.0)


def test_addresses_are_masked_everywhere():
    """In sentences, in lists, under any key; also with a port, in brackets, or as a network."""
    masked = redacted(
        report(
            "High connection count: 9 > 5 (80% to 10.0.0.7:80 owned by a[1], 9% from 2001:db8::/64)",
            interfaces=[{"iface": "eth0", "ip": ["10.0.0.1"], "ip6": ["fe80::1", "::1"]}],
            culprits={"x": {"address": "[2001:db8::7]:443", "user": "www"}},
        ),
        ["addresses"],
    )
    assert masked.details == (
        f"High connection count: 9 > 5 (80% to {ADDRESS}:80 owned by a[1], 9% from {ADDRESS})"
    )
    assert masked.metrics == {
        "interfaces": [{"iface": "eth0", "ip": [ADDRESS], "ip6": [ADDRESS, ADDRESS]}],
        "culprits": {"x": {"address": f"[{ADDRESS}]:443", "user": "www"}},
    }


def test_known_users_are_masked():
    """Each value under ``user`` is masked; an unknown user stays null, and addresses stay."""
    processes = [{"user": "www", "name": "www"}, {"user": None, "ip": "10.0.0.1"}]
    assert redacted(report(top_procs=processes), ["users"]).metrics == {
        "top_procs": [{"user": USER, "name": "www"}, {"user": None, "ip": "10.0.0.1"}]
    }


def test_text_that_resembles_an_address_stays():
    """Times, versions, ports, hardware addresses and program names with colons are not masked."""
    text = "at 12:30:45, 1.2.3, 999.1.1.1, :8080, aa:bb:cc:dd:ee:ff, kworker/0:1, Foo::Bar, 81.5%"
    assert redacted(report(text), ["addresses", "users"]).details == text


@given(st.lists(ADDRESSES, min_size=1), st.sampled_from(["{}", "from {}", "to [{}]:80,", "({})", "{}/64"]))
def test_no_address_is_left(addresses, form):
    """Any address, in any text of a report, is masked."""
    masked = redacted(report(" ".join(form.format(a) for a in addresses), seen=addresses), ["addresses"])
    words = json.dumps([masked.details, masked.metrics])
    words = words.translate(str.maketrans('[](),"', "      ")).replace(ADDRESS, " ").split()
    for word in words:
        try:
            ipaddress.ip_address(word.partition("/")[0])
        except ValueError:
            continue
        raise AssertionError(word)


def test_nothing_to_mask_changes_nothing():
    """Without the setting, the same report object is returned."""
    plain = report("10.0.0.1")
    assert redacted(plain, ()) is plain
