"""``network-health check --prometheus-textfile``: one check writes a file, for cron."""

import json
import re
import socket

import pytest

from network_health.cli.nagios import UNKNOWN
from tests.cli.command import run
from tests.export.test_metric_families import samples

QUICK = ("check", "--seconds", "0.2", "--exclude-interfaces", "[!l]*", "--conn-threshold", 10**9)


def test_the_file_agrees_with_the_report(tmp_path):
    """The file has the metrics of the same check as the report; the status is the check's."""
    path = tmp_path / "x.prom"
    done = run(*QUICK, "--json", "--prometheus-textfile", path, "--check-interval-sec", 300)
    assert (done.returncode, done.stderr) == (0, "")
    content, found = json.loads(done.stdout), samples(path.read_bytes())
    assert found["last_check_timestamp_seconds",] == content["timestamp"]
    assert found["check_interval_seconds",] == 300
    assert (
        sum(v for key, v in found.items() if key[0] == "connections")
        == content["metrics"]["total_connections"]
    )
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_is_reported(tmp_path):
    """The error is on stderr; the status is UNKNOWN without a finding, else that of the finding."""
    path = tmp_path / "missing" / "x.prom"
    done = run(*QUICK, "--prometheus-textfile", path)
    assert done.returncode == UNKNOWN
    assert "The check took" in done.stdout
    assert re.fullmatch(r"network-health check: prometheus_textfile: .* does not work .*\n", done.stderr)
    with socket.create_server(("127.0.0.1", 0)):
        done = run(*QUICK, "--nagios", "--prometheus-textfile", path, "--conn-threshold", 0)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("flag", [(), ("--prometheus-textfile", "off")])
def test_the_agents_file_is_not_written(tmp_path, flag):
    """The export settings in --config are the agent's: a single check does not replace its metrics."""
    path, config = tmp_path / "agents.prom", tmp_path / "settings.json"
    config.write_text(json.dumps({"prometheus_textfile": str(path), "prometheus_listen": ":1"}))
    assert run(*QUICK, "--config", config, *flag).returncode == 0
    assert not path.exists()


def test_a_single_check_does_not_listen():
    """The flag is an error that names the flag to use instead."""
    done = run(*QUICK, "--prometheus-listen", ":9101")
    assert done.returncode == UNKNOWN
    assert done.stderr.endswith("a single check does not listen; give --prometheus-textfile\n")
