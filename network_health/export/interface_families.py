"""Converts the interfaces of a report to Prometheus' metrics. Pure.

Guarantees: base units (bytes, bytes per second). The label ``device`` has the values of node_exporter's, so
that ``on (instance, device)`` joins the two. At most `MAX_INTERFACES` interfaces have samples. Only a
physical interface has a speed: the kernel reports a nominal one for others, such as 10 Mbps for a tun.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter

from network_health.export.text_format import family, labels, single
from network_health.model import Interface
from network_health.reporting import safe_text

#: With more interfaces, those with an alert come first, then physical ones, then the oldest.
MAX_INTERFACES = 1000

#: In a megabit.
_BYTES = 125_000
_Value = Callable[[Interface], float | None]


def _counter(name: str) -> _Value:
    """A lifetime counter; ``None`` if the counters of the interface are unknown."""
    value_of = attrgetter(f"link.counters.{name}")
    return lambda interface: None if interface.link.counters is None else value_of(interface)


def _rate(name: str) -> _Value:
    value_of = attrgetter(name)
    return lambda interface: None if (mbps := value_of(interface)) is None else round(mbps * _BYTES)


def _speed(interface: Interface) -> float | None:
    mbps = interface.link.speed_mbps
    return mbps * _BYTES if mbps and _kind(interface) == "physical" else None


_CREATED = "since the interface was created."
#: Name, help text, and how to get the value.
_METRICS: tuple[tuple[str, str, _Value], ...] = (
    ("up", "1 if the interface is up and running, else 0.", lambda interface: int(interface.link.up)),
    ("speed_bytes_per_second", "Link speed of a physical interface, if known.", _speed),
    ("mtu_bytes", "MTU of the interface.", attrgetter("link.mtu")),
    ("transmit_bytes_per_second", "Outbound rate since the previous check.", _rate("tx_mbps")),
    ("receive_bytes_per_second", "Inbound rate since the previous check.", _rate("rx_mbps")),
    ("transmit_peak_bytes_per_second", "Outbound rate of the highest second.", _rate("tx_peak_mbps")),
    ("receive_peak_bytes_per_second", "Inbound rate of the highest second.", _rate("rx_peak_mbps")),
    ("transmit_bytes_total", f"Bytes sent {_CREATED}", _counter("tx_bytes")),
    ("receive_bytes_total", f"Bytes received {_CREATED}", _counter("rx_bytes")),
    ("transmit_packets_total", f"Packets sent {_CREATED}", _counter("tx_packets")),
    ("receive_packets_total", f"Packets received {_CREATED}", _counter("rx_packets")),
    ("transmit_errors_total", f"Transmit errors {_CREATED}", _counter("tx_errors")),
    ("receive_errors_total", f"Receive errors {_CREATED}", _counter("rx_errors")),
    ("transmit_drops_total", f"Packets to send that were dropped {_CREATED}", _counter("tx_drops")),
    (
        "receive_drops_total",
        f"Received packets that were dropped, or missed by the device, {_CREATED}",
        _counter("rx_drops"),
    ),
    (
        "receive_nohandler_total",
        f"Frames that no handler took at an inactive port of a bond or team {_CREATED}",
        attrgetter("link.rx_nohandler"),
    ),
    ("carrier_changes_total", f"Carrier changes, up or down, {_CREATED}", attrgetter("link.carrier_changes")),
)


def interface_families(interfaces: Sequence[Interface], alerted: Collection[str]) -> Iterator[str]:
    """The metrics of all interfaces; ``alerted`` are the names of those with an alert."""
    by_name = {safe_text(interface.link.name): interface for interface in interfaces}
    names = list(by_name)
    if len(names) > MAX_INTERFACES:  # a stable sort keeps the kernel's order: the oldest first
        names.sort(key=lambda name: (name not in alerted, by_name[name].link.kind != ""))
        del names[MAX_INTERFACES:]
    exported = [(labels(device=name, kind=_kind(by_name[name])), by_name[name]) for name in names]
    for name, meaning, value_of in _METRICS:
        yield family(
            f"interface_{name}", meaning, [(where, value_of(interface)) for where, interface in exported]
        )
    yield single(
        "interfaces_left_out",
        f"Interfaces that are not exported because there are more than {MAX_INTERFACES}.",
        len(by_name) - len(exported),
    )


def _kind(interface: Interface) -> str:
    """The kernel's link kind, ``physical`` or ``loopback``; empty if it is unknown."""
    link = interface.link
    if link.kind == "":
        return "loopback" if link.name == "lo" else "physical"
    return link.kind or ""
