"""Checks whether a report can name what this host forwards: whether tracked flows have byte counters.

Guarantees: nothing is changed.
"""

from __future__ import annotations

import sys

from network_health.swarm.doctor.finding import Finding, note, ok

_HOW = (
    "count them: sysctl -w net.netfilter.nf_conntrack_acct=1, and the same in a file of /etc/sysctl.d; "
    "flows that are tracked already stay without"
)


def check_forwarding() -> Finding:
    """Whether source and destination of a high rate that is forwarded can be named."""
    if sys.platform != "linux":
        return note("forwarding", "not on Linux: a report does not name what is forwarded", "nothing")
    from network_health.sources import linux  # needs what only Linux has

    try:
        counted = linux.read_ip_counters()
        forwards = linux.is_forwarding() or (counted is not None and counted.forwarded > 0)
        is_accounting = linux.is_accounting()
    except (OSError, ValueError) as error:
        says = f"whether this host forwards could not be checked: {error}"
        return note("forwarding", says, "allow the swarm to read /proc/net and /proc/sys/net")
    if not forwards:
        return ok("forwarding", "this host does not forward packets")
    if is_accounting:
        return ok("forwarding", "a report names source and destination of a high rate that is forwarded")
    if is_accounting is None:
        says = "the kernel does not track connections, so a report does not name what this host forwards"
        return note("forwarding", says, "load the module nf_conntrack, if you need it")
    says = "the kernel counts no bytes of tracked flows, so a report does not name what this host forwards"
    return note("forwarding", says, _HOW)
