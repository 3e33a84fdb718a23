"""What ``network-health doctor`` says about a host that forwards packets."""

import pytest

from network_health.sources import linux
from network_health.sources.linux.errors import KernelFormatError
from network_health.swarm.doctor.forwarding import check_forwarding

NO_BYTES = "the kernel counts no bytes of tracked flows, so a report does not name what this host forwards"


@pytest.mark.root
@pytest.mark.parametrize(
    ("settings", "state", "says"),
    [
        ({}, "ok", "this host does not forward packets"),
        ({"net.ipv4.ip_forward": 1}, "note", NO_BYTES),
        ({"net.ipv6.conf.all.forwarding": 1}, "note", NO_BYTES),
        (
            {"net.ipv4.ip_forward": 1, "net.netfilter.nf_conntrack_acct": 1},
            "ok",
            "a report names source and destination of a high rate that is forwarded",
        ),
    ],
)
def test_a_host_that_forwards_should_count_the_bytes_of_flows(namespace, settings, state, says):
    """Only then accounting is recommended; the setting stays as it is."""
    host = namespace()
    off = dict.fromkeys(("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"), 0)
    for name, value in (off | settings).items():
        host.sysctl(name, value)
    found = host.call(check_forwarding)
    assert (found.subject, found.state, found.says) == ("forwarding", state, says)
    assert ("sysctl -w net.netfilter.nf_conntrack_acct=1" in found.do) is (state == "note")
    acct = host.tool("sysctl", "-n", "net.netfilter.nf_conntrack_acct").strip()
    assert acct == str(settings.get("net.netfilter.nf_conntrack_acct", 0))


def test_without_connection_tracking(monkeypatch):
    """The module is not loaded."""
    monkeypatch.setattr(linux, "is_forwarding", lambda: True)
    monkeypatch.setattr(linux, "is_accounting", lambda: None)
    found = check_forwarding()
    assert (found.state, found.do) == ("note", "load the module nf_conntrack, if you need it")


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), KernelFormatError("unknown")])
def test_what_cannot_be_read_is_a_note(monkeypatch, error):
    """Never an exception."""

    def refuse():
        raise error

    monkeypatch.setattr(linux, "is_forwarding", refuse)
    found = check_forwarding()
    assert (found.state, found.says) == ("note", f"whether this host forwards could not be checked: {error}")
