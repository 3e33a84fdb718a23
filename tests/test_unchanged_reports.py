"""The reports of 400 checks are as recorded: a change that should change no report changes none.

A change that is meant to change reports records them anew: ``python -m tests.test_unchanged_reports``. To see
what changed, write them in full before and after (``python -m tests.test_unchanged_reports FILE``).
"""

import hashlib
import json
import sys
from dataclasses import fields
from pathlib import Path
from unittest.mock import patch

from network_health import Monitor, Settings, SettingsOutcome
from network_health.export.metric_families import exposition
from tests.random_host import Clock, RandomHost

RECORDED = Path(__file__).parent / "golden" / "unchanged_reports.json"
CHECKS = 200
CONFIGS = (
    {},
    {
        "alert_after_checks": 2,
        "clear_percent": 80,
        "critical_after_checks": 4,
        "report_on": "change",
        "exclude_interfaces": ["if10*"],
        "retransmit_threshold_percent": 2,
        "listen_overflow_threshold_per_sec": 1,
        "syn_queue_threshold_per_sec": 1,
        "udp_error_threshold_per_sec": 10,
        "softnet_threshold_per_sec": 1,
        "conntrack_threshold_percent": 75,
        "redact": ["addresses", "users"],
        "tx_threshold_mbps": "many",
        "rx_treshold_mbps": 1,
    },
)


def reports():
    """The report of each check and its Prometheus metrics, without the durations."""
    for seed, config in enumerate(CONFIGS):
        clock = Clock(4096.125)
        host = RandomHost(clock, seed, 30)
        outcome = SettingsOutcome.of(config)
        with patch("network_health.monitor.time", clock):
            monitor = Monitor(outcome.settings, readers=[host.readers()])
            monitor.settings_errors = outcome.errors
            for _ in range(CHECKS):
                clock.now_s += 29
                host.advance()
                report = monitor.check()
                content = report.as_content()
                del content["metrics"]["check"]
                samples = exposition(report, 30).decode().splitlines()
                shown = [line for line in samples if "duration" not in line and not line.startswith("# HELP")]
                yield [content, report.due, report.changes, outcome.warnings, shown]


def settings():
    """Each setting: its name, its default, its unit."""
    return [[f.name, repr(f.default), f.metadata["unit"]] for f in fields(Settings)]


def digest(value):
    """A short hash of a JSON-safe value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def test_reports_and_settings_are_those_of_before():
    """Contents, changes, warnings, metrics for Prometheus, and the settings, one digest each."""
    assert [digest(settings()), *map(digest, reports())] == json.loads(RECORDED.read_text())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        lines = [json.dumps(report, sort_keys=True) for report in reports()]
        Path(sys.argv[1]).write_text("\n".join(lines) + "\n")
    else:
        RECORDED.write_text(json.dumps([digest(settings()), *map(digest, reports())], indent=0) + "\n")
