"""The setting ``redact``: what it masks is masked everywhere, and nothing else changes."""

import ipaddress
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.alerting import Alert, ResolvedAlert
from network_health.model import (
    Failure,
    Finding,
    Interface,
    Link,
    Namespace,
    Namespaces,
    PortUse,
    ProcessDetails,
    ProcessSample,
    Protocols,
    RankedProcess,
    Share,
)
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


def test_the_typed_attributes_are_masked():
    """What an attribute has beside the metrics: links, processes, alerts, namespaces, failures, culprits."""
    link = Link("eth0", up=True, ipv4=("10.0.0.1",), ipv6=("fe80::1",), tunnel=(b"abcd", b""))
    process = RankedProcess(ProcessSample(7, "nc 10.0.0.1", 1.0, 2.0, 3), 4.0, ProcessDetails(user="www"))
    alert = Alert(Finding("tx_rate", "eth0", "t", 2, 1, culprit=" (to 10.0.0.1)"), 1.0, 2.0)
    ports = Protocols(busiest_ports=PortUse("10.0.0.1", "10.0.0.2", 80, Share(1, 2)))
    masked = redacted(
        replace(
            report(culprits={"tx_rate": {"address": "10.0.0.1"}}),
            interfaces=(Interface(link, 1.0),),
            processes=(process,),
            protocols=ports,
            namespaces=Namespaces((Namespace(1, 2, mounted="10.0.0.1", tcp=3),)),
            alerts=(alert,),
            resolved=(ResolvedAlert(alert, 3.0, "normal"),),
            failures=(Failure("interfaces", "OSError: 10.0.0.1"),),
        ),
        ["addresses", "users"],
    )
    hidden = replace(alert, finding=replace(alert.finding, culprit=f" (to {ADDRESS})"))
    assert masked.interfaces == (
        Interface(replace(link, ipv4=(ADDRESS,), ipv6=(ADDRESS,), tunnel=None), 1.0),
    )
    assert masked.processes == (
        RankedProcess(ProcessSample(7, f"nc {ADDRESS}", 1.0, 2.0, 3), 4.0, ProcessDetails(user=USER)),
    )
    assert masked.protocols == Protocols(busiest_ports=PortUse(ADDRESS, ADDRESS, 80, Share(1, 2)))
    assert masked.namespaces == Namespaces((Namespace(1, 2, mounted=ADDRESS, tcp=3),))
    assert masked.alerts == (hidden,)
    assert masked.resolved == (ResolvedAlert(hidden, 3.0, "normal"),)
    assert masked.failures == (Failure("interfaces", f"OSError: {ADDRESS}"),)
    assert masked.culprits == {"tx_rate": {"address": ADDRESS}}


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


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("10.0.0.1.", f"{ADDRESS}."),
        ("v10.0.0.1", f"v{ADDRESS}"),
        ("10.0.0.1_", f"{ADDRESS}_"),
        ("app-10.0.0.1:80", f"app-{ADDRESS}:80"),
        ("1.10.0.0.1", ADDRESS),
        ("010.000.0.01", ADDRESS),
        ("10.0.0.1.999", ADDRESS),
        ("::ffff:1.2.3.4", ADDRESS),
        ("[::ffff:1.2.3.4]:80", f"[{ADDRESS}]:80"),
        ("x::ffff:10.0.0.1y", f"x{ADDRESS}y"),
        ("64:ff9b::10.0.0.1/96", ADDRESS),
        ("1:2:3:4:5:6:1.2.3.4", ADDRESS),
        ("80:2001:db8:1:2:3:4:5:6:443", ADDRESS),
        ("2001:db8::1: refused", f"{ADDRESS}: refused"),
        ("2001:db8::1.", f"{ADDRESS}."),
        ("v2001:db8::1_", f"v{ADDRESS}_"),
        ("feed2001:db8::1", ADDRESS),
        ("nfe80::1z", f"n{ADDRESS}z"),
        ("fe80::1%eth0", f"{ADDRESS}%eth0"),
        ("::1_", f"{ADDRESS}_"),
        ("proxy:::db8:0:0:1", f"proxy{ADDRESS}"),
        ("proxy:::1", f"proxy{ADDRESS}"),
        ("9" * 5000 + ".1.1.1", "9" * 5000 + ".1.1.1"),
    ],
)
def test_an_address_is_masked_whatever_is_next_to_it(text, masked):
    """What a process's name can put around an address does not keep it, or a half of it, in the report."""
    assert redacted(report(text), ["addresses"]).details == masked


@pytest.mark.parametrize("text", ["Foo::Bar", "std::deque", "std::bad", "x::1", "Cafe::Run", "Net::DNS::A6"])
def test_words_with_colons_are_names(text):
    """Words that are joined as in C++ and Perl stay, also if a part of them looks like an address."""
    assert redacted(report(text), ["addresses"]).details == text


@given(
    ADDRESSES.filter(lambda address: not (address.startswith("::") or address.endswith("::"))),
    *[st.text("abgvz019._-:/[]% ", max_size=5)] * 2,
)
def test_no_text_around_it_keeps_an_address(address, before, after):
    """An address cannot be read in any text that it is a part of; digits beside it are another number."""
    if before[-1:].isdigit() or after[:1].isdigit():
        before, after = before + " ", " " + after
    assert address not in redacted(report(before + address + after), ["addresses"]).details


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
