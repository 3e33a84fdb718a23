"""docs/report-format.md documents exactly the fields that reports have, with their types."""

import json
import socket
from pathlib import Path

import pytest

from network_health import Monitor, Settings
from network_health.delivery.outbox import Outbox
from network_health.model import Interface, Link, Namespace, Namespaces, Protocols, Share
from network_health.reporting.builder import interface_metrics, limits_note, protocol_metrics
from network_health.reporting.namespaces import namespace_metrics
from tests.reporting.loss_evidence import loss_evidence
from tests.reporting.owner_evidence import owner_evidence, shared_traffic, whole_traffic
from tests.reporting.report_format import allows, documented, fields_of

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
DOCUMENTED = documented()
#: Every limit at zero, so that every check has a finding where there is anything to find.
ZERO_LIMITS = {
    **dict.fromkeys((name for name in Settings.__dataclass_fields__ if "threshold" in name), 0),
    "process_network": "always",
    "top_n_procs": 1000,
}


def undocumented(content):
    """The fields of a report that the page does not document, or documents with another type."""
    return sorted(
        {
            f"{path}: {actual}"
            for path, actual in fields_of(content)
            if path not in DOCUMENTED or not allows(DOCUMENTED[path].kind, actual)
        }
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_fields_of_a_golden_report_are_documented(path):
    """Each field is on the page, with the type of its value."""
    assert undocumented(json.loads(path.read_text())) == []


def test_the_fields_of_a_real_check_are_documented():
    """The same holds for this host, with every limit at zero and every part enabled."""
    monitor = Monitor(Settings.from_mapping(ZERO_LIMITS))
    with socket.create_server(("", 0)):  # one socket is more than a limit of zero
        for _ in range(2):
            content = monitor.check().as_content()
            assert undocumented(content) == []
    assert content["status"] == "network_issue"


def test_the_evidence_of_losses_is_documented():
    """Each field that it can have is on the page, with the type of its value."""
    assert undocumented({"metrics": {"culprits": loss_evidence()}}) == []


def test_the_evidence_of_owners_is_documented():
    """Each field that an owner can have is on the page, with the type of its value."""
    metrics = {"culprits": owner_evidence(), "top_network": shared_traffic(), "traffic": whole_traffic()}
    assert undocumented({"metrics": metrics}) == []


def test_every_documented_field_is_in_a_report(tmp_path):
    """The page documents no field that no report has."""
    outbox = Outbox(tmp_path, agent="agent-1", boot_id="boot", log=print)
    sent = []
    outbox.add({"severity": "INFO", "metrics": {}}, ["receiver"])
    outbox.deliver(lambda node, content: sent.append(content) or True, ["receiver"])
    whole = protocol_metrics(Protocols(orphans=Share(1, 2), tcp_memory=Share(1, 2)))
    bare = interface_metrics([Interface(Link("eth1", up=True))])
    evidence = loss_evidence() | owner_evidence()
    aged = {check: {**each, "age_s": 0.0} for check, each in evidence.items() if isinstance(each, dict)}
    made = {"protocols": whole, "interfaces": bare, "culprits": evidence | aged}
    made["top_network"] = shared_traffic()
    made |= namespace_metrics(Namespaces((Namespace(1, 2, pod="uid", veths=("v",)),), hidden_processes=3))
    made["traffic"] = whole_traffic()
    made |= limits_note(Protocols(has_limits=False))
    reports = [json.loads(path.read_text()) for path in GOLDEN]
    found = {path for report in (*reports, *sent, {"metrics": made}) for path, _ in fields_of(report)}
    # Every owner may have a container or a unit, although a golden report has only one of them.
    owners = {path.removesuffix("pid") for path in found if path.endswith(".pid")}
    found |= {f"{owner}{place}" for owner in owners for place in ("container", "unit")}
    assert sorted(DOCUMENTED.keys() - found) == []
