"""Says why the owners of sockets are missing, and which users the kernel reports for these sockets."""

from __future__ import annotations

from collections import Counter

from network_health.attribution.evidence import MIN_PERCENT
from network_health.sources import linux

ACCESS_DENIED = "owner not visible without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
NOT_HELD = "no visible process has them open"
TIMED_OUT = "not all owners found in time"
#: By what hides processes.
OBSTACLES = {
    linux.HIDEPID: "owner not visible: /proc has hidepid, needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
    linux.PID_NAMESPACE: "owner not visible from this pid namespace, run the agent in the host's",
    None: NOT_HELD,
}


def note(unknown: int, total: int, search: linux.SocketListing | linux.SocketOwners) -> str:
    """Why many of all sockets, or bytes, have an ``unknown`` owner; empty if few have."""
    if not unknown or 100 * unknown < MIN_PERCENT * total:
        return ""
    if search.timed_out:
        return TIMED_OUT
    return ACCESS_DENIED if search.access_denied else OBSTACLES[linux.read_obstacle()]


def user_entries(
    users: Counter[linux.SocketUser], count: int, unit: str = "count"
) -> list[dict[str, object]]:
    """Users and cgroups of sockets, which the kernel reports also if the processes are not visible.

    ``unit`` is the name of what ``users`` counts.
    """
    entries: list[dict[str, object]] = []
    for (uid, cgroup), n in users.most_common(count):
        places = linux.container_and_unit(linux.read_cgroup_path(cgroup)) if cgroup else (None, None)
        entries.append({"user": linux.user_name(uid), "container": places[0], "unit": places[1], unit: n})
    return entries
