"""docs/fleet.md: alert rules that fire when they should, a dashboard of metrics that exist.

``python -m tests.test_fleet`` regenerates the page's table of metrics.
"""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from network_health.alerting import Alert
from network_health.export.metric_families import exposition
from network_health.model import Finding, PortUse, Share
from tests.reporting.test_report import REPORTS
from tests.tree import DOCS

PAGE = DOCS / "fleet.md"
RULES = DOCS / "fleet" / "rules.yml"
RULES_TEST = DOCS / "fleet" / "rules_test.yml"
PROVISIONING = DOCS / "fleet" / "provisioning.yml"
DASHBOARD = json.loads((DOCS / "fleet" / "dashboard.json").read_text())
NAME = re.compile(r"network_health_\w+")
#: Values of Grafana's own variables, and of the dashboard's variables when all are selected.
VARIABLES = {"__rate_interval": "1m", "__range": "1h", "job": ".+", "instance": ".+", "device": ".+"}


def exported_metrics():
    """The metrics of a report with every field: full name, type, meaning, labels."""
    report, share = REPORTS["breached"], Share(1, 4)
    culprits = REPORTS["culprits"]
    shares = {"orphans": share, "tcp_memory": share, "busiest_ports": PortUse("", "", 1, share)}
    eth0 = report.interfaces[1]
    eth0 = eth0._replace(link=replace(eth0.link, rx_nohandler=0), tx_peak_mbps=1.0, rx_peak_mbps=1.0)
    link = Alert(Finding("link", "eth0", "", 1, 0, aspect="down"), 1.0, 1.0, active=True)
    full = replace(
        report,
        interfaces=(eth0,),
        alerts=(*culprits.alerts, link),
        culprits=culprits.culprits,
        protocols=replace(report.protocols, **shares),
    )
    for family in text_string_to_metric_families(exposition(full, 30).decode()):
        labels = sorted({label for sample in family.samples for label in sample.labels})
        yield family.samples[0].name, family.type, family.documentation, labels


NAMES = {name for name, *_ in exported_metrics()}


def metrics_table():
    """All metrics, as the page shows them."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for name, kind, meaning, labels in exported_metrics():
        shown = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}` | {kind} | {shown} | {meaning} |")
    return "\n".join(rows)


def between(text):
    return re.search(r"(?<=<!-- metrics -->\n).*?(?=<!-- /metrics -->)", text, re.DOTALL)


def panels():
    """The dashboard's panels, without the titles of its rows."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_expressions():
    """Every expression, with values for the variables."""
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [re.sub(r"\$(\w+)", lambda found: VARIABLES[found[1]], each) for each in expressions]


def rule_names():
    """The alerts of the rules, in their order."""
    return re.findall(r"alert: (\w+)", RULES.read_text())


def promtool(*words, cwd=None):
    """The finished promtool command."""
    command = ["promtool", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=cwd)


def test_the_pages_table_is_current():
    """Every metric with its type, labels and meaning, as the code exports it."""
    assert between(PAGE.read_text())[0].strip() == metrics_table()


def test_the_page_names_every_rule():
    """The page explains every alert rule and no other."""
    assert set(re.findall(r"`(NetworkHealth\w+)`", PAGE.read_text())) == set(rule_names())


@pytest.mark.parametrize(
    "path", [RULES, RULES_TEST, PAGE, DOCS / "fleet" / "dashboard.json"], ids=lambda p: p.name
)
def test_every_name_is_one_that_is_exported(path):
    """Rules, dashboard and page use no metric that does not exist."""
    named = set(NAME.findall(path.read_text())) - {"network_health_fleet", "network_health_"}
    assert named
    assert named <= NAMES


def test_prometheus_accepts_the_rules():
    """Prometheus' own checker finds no error in the rules."""
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rule_names())} rules found" in done.stdout


def test_the_rules_fire_when_they_should():
    """On test series, each rule fires when it should, and does not when it should not."""
    done = promtool("test", "rules", RULES_TEST.name, cwd=RULES_TEST.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def untrue_rules(tmp_path_factory):
    """The alerts whose tests fail if no rule ever fires, and if every rule always fires."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / RULES_TEST.name).write_text(RULES_TEST.read_text())
    expression = re.compile(r"expr: .*?(?=\n        (?:for|labels|annotations):)", re.DOTALL)
    failed = []
    for instead in ("expr: vector(0) == 1", 'expr: label_replace(vector(1), "extra", "x", "", "")'):
        rules, changed = expression.subn(instead, RULES.read_text())
        assert changed == len(rule_names())
        (folder / RULES.name).write_text(rules)
        done = promtool("test", "rules", RULES_TEST.name, cwd=folder)
        assert done.returncode == 1
        failed.append(set(re.findall(r"alertname: (\w+)", done.stdout + done.stderr)))
    return failed


@pytest.mark.parametrize("name", rule_names())
def test_no_rule_goes_untested(untrue_rules, name):
    """The rules' tests fail if a rule never fires, or always."""
    assert [name in failed for failed in untrue_rules] == [True, True]


def test_the_dashboard_is_consistent():
    """Panels have unique ids and do not overlap; queries use the selected source; variables are declared."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert variables == {"datasource", "job", "instance", "device"}
    assert used == variables | {"__rate_interval", "__range"}
    for panel in panels():
        assert panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert 'job=~"$job",instance=~"$instance"' in target["expr"]


def lost(before, after, path=""):
    """The paths of what is in one JSON value and not in the other, which may have more fields."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key, "no such field"), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for n, pair in enumerate(zip(before, after, strict=True)):
            yield from lost(*pair, f"{path}/{n}")
    elif before != after:
        yield path


def lost_by_grafana(dashboard):
    """What Grafana's own types do not keep when they read a dashboard and write it again."""
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()
    read = Dashboard.from_json(dashboard)
    return list(lost(dashboard, json.loads(JSONEncoder().encode(read))))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk needs Python 3.11")
def test_grafana_knows_every_field():
    """No field of the dashboard is unknown to Grafana's own types, or misspelt; they do find one that is."""
    assert lost_by_grafana(DASHBOARD) == []
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["panels"][1]["targets"][0]["legend"] = "x"
    wrong["panels"][7]["options"]["sortby"] = []
    wrong["refreshed"] = "30s"
    assert lost_by_grafana(wrong) == [
        *("/panels/1/targets/0/legend", "/panels/7/options/sortby", "/refreshed")
    ]


def test_the_provisioning_file_names_a_file_provider():
    """With the fields that Grafana's documentation gives for it."""
    lines = [line for line in PROVISIONING.read_text().splitlines() if not line.startswith("#")]
    assert lines[:2] == ["apiVersion: 1", "providers:"]
    keys = re.findall(r"^ *-? ?(\w+):", "\n".join(lines[2:]), re.MULTILINE)
    assert keys == ["name", "type", "allowUiUpdates", "options", "path"]
    assert "type: file" in PROVISIONING.read_text()


def test_prometheus_accepts_each_query(tmp_path):
    """promtool parses every query of the dashboard, given as a recording rule."""
    rules = [{"record": f"r{n}", "expr": each} for n, each in enumerate(dashboard_expressions())]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_the_dashboard_shows_all_metrics():
    """The dashboard shows every metric, except those that only help to interpret another one."""
    shown = {name for expression in dashboard_expressions() for name in NAME.findall(expression)}
    assert NAMES - shown == {
        "network_health_interface_mtu_bytes",
        "network_health_status",
        "network_health_tcp_segments_sent_per_second",
        "network_health_tcp_syn_queue_full_cookies_per_second",
    }


if __name__ == "__main__":
    page = PAGE.read_text()
    found = between(page)
    PAGE.write_text(f"{page[: found.start()]}{metrics_table()}\n{page[found.end() :]}")
