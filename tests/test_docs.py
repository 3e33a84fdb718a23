"""The documentation says what the code says; ``python -m tests.test_docs`` writes its tables anew."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from network_health import Settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GOLDEN = ROOT / "tests" / "golden"

#: What each field of ``metrics`` means; the golden report says which there are.
METRICS = {
    "interfaces": "one object per interface that is not excluded",
    "interfaces[].iface": "its name",
    "interfaces[].ip": "its IPv4 addresses",
    "interfaces[].up": "whether it is up and running",
    "interfaces[].speed_mbps": "its link speed in Mbps, 0 where unknown",
    "interfaces[].tx_errs": "transmit errors since it was created",
    "interfaces[].rx_errs": "receive errors since it was created",
    "interfaces[].drops": "packets dropped in either direction since it was created",
    "interfaces[].tx_rate_mbps": "outbound rate since the check before, Mbps (10^6 bits/s)",
    "interfaces[].rx_rate_mbps": "inbound rate since the check before, Mbps (10^6 bits/s)",
    "interfaces[].ip6": "its IPv6 addresses",
    "interfaces[].mtu": "its MTU in bytes",
    "interfaces[].kind": "the kernel's link kind (`veth`, `bridge`, ...), empty for a physical interface",
    "interfaces[].operstate": "the kernel's operational state (`up`, `down`, `unknown`, ...)",
    "interfaces[].carrier_changes": "how often its carrier came or went since it was created",
    "interfaces[].new_tx_errs": "transmit errors since the check before",
    "interfaces[].new_rx_errs": "receive errors since the check before",
    "interfaces[].new_drops": "packets dropped since the check before",
    "interfaces[].counters_reset": "it was created anew since the check before, so it has no rate",
    "total_connections": "sockets counted, TCP and UDP, IPv4 and IPv6",
    "by_status": "the same by state, under psutil's names; UDP is `NONE`",
    "top_procs": "the `top_n_procs` busiest processes, by CPU, then memory, then bytes written",
    "top_procs[].pid": "process id",
    "top_procs[].name": "process name",
    "top_procs[].cpu_percent": "CPU since the check before, percent of one CPU",
    "top_procs[].rss_mb": "resident memory, MiB",
    "top_procs[].write_bytes": "bytes written to storage since it started",
    "top_procs[].read_bytes": "bytes read from storage since it started",
    "top_procs[].user": "the user it runs as",
    "top_procs[].command": "the program's file name, never its arguments",
    "protocols": "the kernel's protocol figures, see [protocol health](docs/protocol-health.md); Linux only",
    "culprits": "on a breach, who is behind it, by check; see [culprits](docs/culprits.md); Linux only",
    "top_network": "the processes that moved most bytes, and what is `unattributed`; see `process_network`",
    "coverage_percent": "the share of all bytes that is some known process's",
    "top_procs[].net_tx_bytes": "TCP payload sent since the check before; with `top_network`",
    "top_procs[].net_rx_bytes": "the same received",
    "top_procs[].net_tx_mbps": "the same as a rate, Mbps",
    "top_procs[].net_rx_mbps": "the same as a rate, Mbps",
    "top_procs[].sockets": "the TCP sockets that moved it",
    "alerts": "what stands: check, subject, severity, state, `since` (epoch), checks, value, limit",
    "recovered": "what is back to normal, and how long it lasted in seconds",
    "ended": "what is over for another `reason`: its interface is `gone`, or the `settings` changed",
    "check": "what the check cost: `total_ms`, ms of each of `collectors`, and which of the `readers` served",
    "report_id": "agent, boot and number; the same when a report is sent again",
    "failures": "collectors that failed, each with its reason; left out when none did",
    "settings_errors": "settings that are not allowed, each with what is; left out when there are none",
}


def settings_table():
    """The settings, as the README shows them."""
    rows = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    for f in fields(Settings):
        default = json.dumps(list(f.default) if isinstance(f.default, tuple) else f.default)
        rows.append(f"| `{f.name}` | `{default}` | {f.metadata['unit']} | {f.metadata['meaning']} |")
    return "\n".join(rows)


def metrics_table():
    """The fields of ``metrics``, as the README shows them."""
    rows = ["| metric | meaning |", "|---|---|"]
    return "\n".join(rows + [f"| `{name}` | {meaning} |" for name, meaning in METRICS.items()])


TABLES = {"settings": settings_table, "metrics": metrics_table}


def between(text, name):
    return re.search(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", text, re.DOTALL)


@pytest.mark.parametrize("name", TABLES)
def test_the_readmes_tables_are_current(name):
    """Each generated table stands in the README as the code makes it."""
    assert between(README.read_text(), name)[0].strip() == TABLES[name]()


def names_in(metrics):
    """The names of the fields of a report's metrics, in the table's notation."""
    for name, value in metrics.items():
        yield name
        if (
            isinstance(value, list)
            and value
            and isinstance(value[0], dict)
            and name in {"interfaces", "top_procs"}
        ):
            yield from (f"{name}[].{inner}" for inner in value[0])


def test_every_metric_is_explained():
    """The golden reports and the table name the same fields."""
    found = {
        name for path in GOLDEN.glob("*.json") for name in names_in(json.loads(path.read_text())["metrics"])
    }
    # Every report has an id; it is given where reports are sent.
    assert found | {"report_id"} == set(METRICS)


def test_the_attribution_line_stands_in_the_readme():
    """The framework's licence asks for it, in these words."""
    assert "Powered by MatrixSwarm — https://github.com/matrixswarm/matrixswarm" in README.read_text()


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda p: p.name
)
def test_no_link_is_broken(path):
    """Every relative link of the documentation leads to a file."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


if __name__ == "__main__":
    text = README.read_text()
    for name, table in TABLES.items():
        found = between(text, name)
        text = f"{text[: found.start()]}{table()}\n{text[found.end() :]}"
    README.write_text(text)
