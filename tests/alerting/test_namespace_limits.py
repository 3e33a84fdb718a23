"""The connections of other network namespaces and their limit."""

import pytest

from network_health import Settings
from network_health.alerting import initial_state, step
from network_health.alerting.namespace_limits import MAX_FINDINGS
from network_health.alerting.thresholds import evaluate
from network_health.model import Cost, Failure, Namespace, Namespaces, Snapshot

LIMIT = {"container_conn_threshold": 1000}


def seen(namespaces, failures=()):
    return Snapshot(0.0, (), None, None, failures, Cost(0.0, {}, {}), namespaces=namespaces)


def of(is_whole=True, **totals):
    """Namespaces with these numbers of connections."""
    entries = (
        Namespace(number, number, label=f"container {name}", tcp=total, udp=0 if total is not None else None)
        for number, (name, total) in enumerate(totals.items())
    )
    return Namespaces(tuple(entries), is_whole=is_whole)


@pytest.mark.parametrize(
    ("config", "total", "texts"),
    [
        (LIMIT, 6001, ["High connection count in container web: 6001 > 1000"]),
        (LIMIT, 1000, []),
        (LIMIT, None, []),
        ({"container_conn_threshold": -1}, 0, ["High connection count in container web: 0 > -1"]),
        ({}, 6001, []),
    ],
)
def test_a_namespace_is_breached_by_more_than_the_limit(config, total, texts):
    """An equal or unknown number is no breach; without a limit there is none."""
    found = evaluate(seen(of(web=total)), Settings.from_mapping(config))
    assert [(each.text, each.subject) for each in found] == [(text, "container web") for text in texts]


def test_the_findings_are_bounded():
    """Of very many namespaces above the limit, the first have a finding."""
    many = of(**{f"c{number}": 2000 for number in range(100)})
    found = evaluate(seen(many), Settings.from_mapping(LIMIT))
    assert [each.subject for each in found] == [f"container c{n}" for n in range(MAX_FINDINGS)]


FAILED = (Failure("namespaces", "TimeoutError: no answer in 10 s"),)


@pytest.mark.parametrize(
    ("namespaces", "failures", "config", "outcome"),
    [
        (of(web=10), (), LIMIT, ["normal"]),
        (of(db=10), (), LIMIT, ["gone"]),
        (of(db=10, is_whole=False), (), LIMIT, "unknown"),
        (of(web=None), (), LIMIT, "unknown"),
        (None, FAILED, LIMIT, "unknown"),
        (None, (), LIMIT | {"namespaces": "off"}, ["settings"]),
        (of(web=6001), (), {}, ["settings"]),
    ],
)
def test_an_alert_ends_only_if_that_is_known(namespaces, failures, config, outcome):
    """It is normal if that was measured, gone if the namespace is; else it stays active, as last known."""
    settings = Settings.from_mapping(LIMIT)
    state, snapshot = initial_state((), settings, 0.0), seen(of(web=6001))
    state, _ = step(state, evaluate(snapshot, settings), snapshot, settings, 1.0)
    later, snapshot = Settings.from_mapping(config), seen(namespaces, failures)
    _, verdict = step(state, evaluate(snapshot, later), snapshot, later, 31.0)
    assert ([each.reason for each in verdict.resolved] or verdict.alerts[0].state) == outcome
