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

    Those without a veth follow: they may have a macvlan, whose bytes are not counted here.
    """
    index_of = {link.name: index for index, link in links.items()}
    targets = [(index_of[each.subject], each) for each in findings if each.subject in index_of]
    visible = {each.kernel_id for each in namespaces} - {None}
    # What crosses a veth is that of the namespace at its other end.
    known_end = {at: links[at].peer_namespace for at, _ in targets if links[at].peer_namespace in visible}

    def share(namespace: Namespace, at: int, finding: Finding) -> float:
        if at in known_end:
            return float(known_end[at] == namespace.kernel_id)
        return _share(namespace, at, finding, links, carried)

    found = [
        (max((share(each, at, finding) for at, finding in targets), default=0.0), each) for each in namespaces
    ]
    likely = sorted((pair for pair in found if 100 * pair[0] >= MIN_PERCENT), key=lambda pair: -pair[0])
    is_open = any(at not in known_end for at, _ in targets)
    others = [each for each in namespaces if is_open and each.total and not each.veths and each.belongs_here]
    return [*(each for _, each in likely), *sorted(others, key=lambda each: -(each.total or 0))][:MAX_ENTERED]


def _share(
    namespace: Namespace, target: int, finding: Finding, links: Mapping[int, Link], carried: Carried
) -> float:
    """At most so much of what crossed ``target`` can be that of the namespace, from 0 to 1."""
    direction = DIRECTIONS[RATES[finding.check]]
    total = carried.get(target, (0, 0))[direction]
    if namespace.kernel_id is None or not total:
        return 0.0
    octets = 0
    for index, link in links.items():
        if link.peer_namespace == namespace.kernel_id and index in carried:
            # A bridge receives what its ports receive; what leaves by another interface arrives by a veth.
            octets += carried[index][direction if link.master == target else 1 - direction]
    return min(octets / total, 1.0)
