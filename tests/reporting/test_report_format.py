"""docs/report-format.md has every field that reports have, with its type, and no other."""

import json
from pathlib import Path

import pytest

from network_health import Monitor, Settings
from network_health.delivery.outbox import Outbox
from network_health.model import Protocols, Share
from network_health.reporting.report import protocol_metrics
from tests.reporting.report_format import documented, fields_of, may_hold

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
DOCUMENTED = documented()
#: Every limit so low that what there is breaches it.
NOSY = {
    **dict.fromkeys((name for name in Settings.__dataclass_fields__ if "threshold" in name), 0),
    "process_network": "always",
    "top_n_procs": 1000,
}


def undocumented(content):
    """The fields of a report that the page does not have, or has with another type."""
    return sorted(
        {
            f"{path}: {seen}"
            for path, seen in fields_of(content)
            if path not in DOCUMENTED or not may_hold(DOCUMENTED[path].kind, seen)
        }
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_fields_of_a_golden_report_are_documented(path):
    """Each with a type that its value has."""
    assert undocumented(json.loads(path.read_text())) == []


def test_the_fields_of_a_real_check_are_documented():
    """Whatever this host has to tell, with every limit at zero and every part turned on."""
    monitor = Monitor(Settings.from_mapping(NOSY))
    for _ in range(2):
        content = monitor.check().as_content()
        assert undocumented(content) == []
    assert content["status"] == "network_issue"


def test_every_documented_field_is_some_report_s(tmp_path):
    """None is on the page that no report has."""
    outbox = Outbox(tmp_path, agent="agent-1", boot_id="boot", log=print)
    sent = []
    outbox.add({"severity": "INFO", "metrics": {}}, ["receiver"])
    outbox.deliver(lambda node, content: sent.append(content) or True, ["receiver"])
    whole = protocol_metrics(Protocols(orphans=Share(1, 2), tcp_memory=Share(1, 2)))
    reports = [json.loads(path.read_text()) for path in GOLDEN]
    found = {
        path
        for report in (*reports, *sent, {"metrics": {"protocols": whole}})
        for path, _ in fields_of(report)
    }
    # Where an owner is named, its container and its unit may be, whichever of them a golden report has.
    owners = {path.removesuffix("pid") for path in found if path.endswith("].pid")}
    found |= {f"{owner}{place}" for owner in owners for place in ("container", "unit")}
    assert sorted(DOCUMENTED.keys() - found) == []
