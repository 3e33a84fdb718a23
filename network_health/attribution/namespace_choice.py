"""Chooses which other network namespaces can explain a high rate. Pure.

Guarantees: at most `MAX_ENTERED` are chosen. Of those that have a veth, one is chosen only if this veth
carried a part of the bytes that is worth a name. Of the others, none that any user can have made: what is in
it may take so long to read that the culprits of the host are not found in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from network_health.attribution.evidence import MIN_PERCENT
from network_health.attribution.interface_paths import DIRECTIONS, Carried
from network_health.attribution.rate_lookups import RATES
from network_health.model import Finding, Link, Namespace

#: How many other network namespaces are entered in one check.
MAX_ENTERED = 3


def chosen(
    findings: Sequence[Finding], namespaces: Sequence[Namespace], links: Mapping[int, Link], carried: Carried
) -> list[Namespace]:
    """The namespaces to enter for ``findings``, those first that carried most in a window.

    Those without a veth follow: they may have a macvlan, whose bytes are not counted here. Then those that
    carried most in the other direction: the bytes of their sockets cannot be those of the first ones.
    """
    index_of = {link.name: index for index, link in links.items()}
    targets = [(index_of[each.subject], each) for each in findings if each.subject in index_of]
    visible = {each.kernel_id for each in namespaces} - {None}
    # What crosses a veth is that of the namespace at its other end.
    known_end = {at: links[at].peer_namespace for at, _ in targets if links[at].peer_namespace in visible}

    def shares(namespace: Namespace, at: int, finding: Finding) -> tuple[float, float]:
        if at in known_end:
            return float(known_end[at] == namespace.kernel_id), 0.0
        return _shares(namespace, at, finding, links, carried)

    largest = {
        each.inode: [max(both) for both in zip(*(shares(each, *target) for target in targets), strict=True)]
        for each in namespaces
    }

    def ranked(kind: int) -> list[Namespace]:
        found = [each for each in namespaces if targets and 100 * largest[each.inode][kind] >= MIN_PERCENT]
        return sorted(found, key=lambda each: -largest[each.inode][kind])

    likely = ranked(0)
    is_open = any(at not in known_end for at, _ in targets)
    others = [each for each in namespaces if is_open and each.total and not each.veths and each.belongs_here]
    others.sort(key=lambda each: -(each.total or 0))
    opposite = [each for each in ranked(1) if each not in likely] if likely else []
    return [*likely, *others, *opposite][:MAX_ENTERED]


def _shares(
    namespace: Namespace, target: int, finding: Finding, links: Mapping[int, Link], carried: Carried
) -> tuple[float, float]:
    """How much the veths of a namespace carried of what crossed ``target``, from 0 to 1.

    First what can be its own at most, then what they carried in the other direction.
    """
    direction = DIRECTIONS[RATES[finding.check]]
    total = carried.get(target, (0, 0))[direction]
    if namespace.kernel_id is None or not total:
        return 0.0, 0.0
    octets = opposite = 0
    for index, link in links.items():
        if link.peer_namespace == namespace.kernel_id and index in carried:
            # A bridge receives what its ports receive; what leaves by another interface arrives by a veth.
            at_veth = direction if link.master == target else 1 - direction
            octets += carried[index][at_veth]
            opposite += carried[index][1 - at_veth]
    return min(octets / total, 1.0), min(opposite / total, 1.0)
