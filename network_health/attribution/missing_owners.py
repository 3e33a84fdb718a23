"""Says why the owners of sockets are missing, and which users the kernel reports for these sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

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


def note_of_sockets(listing: linux.SocketListing) -> str:
    """Why many of all sockets have an unknown owner; empty if few have.

    A socket that was closed during the search does not count: ``users`` are read after it.
    """
    late = sum(each.owner_unknown for each in listing.groups)
    unknown = late if listing.timed_out else listing.users.total()
    return _note(unknown, sum(each.sockets for each in listing.groups), listing)


def note_of_bytes(
    hidden: Mapping[int, int], total: int, owners: linux.SocketOwners
) -> tuple[str, Counter[linux.SocketUser]]:
    """Why many of all bytes have an unknown owner, and the users of their sockets; empty if few have.

    ``hidden`` are the bytes of each socket without a known owner, by inode. A socket that was closed during
    the search does not count.
    """
    if not _note(sum(hidden.values()), total, owners):
        return "", Counter()
    users = linux.read_users(hidden)
    return _note(users.total(), total, owners), users


def _note(unknown: int, total: int, search: linux.SocketListing | linux.SocketOwners) -> str:
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
