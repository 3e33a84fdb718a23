"""Runs Debian's ``prometheus`` and ``prometheus-node-exporter`` on free ports, in a folder of the test."""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from tests.export.test_endpoint import free_port

_READY_S = 60


class Prometheus:
    """Scrapes ``targets``, ``{job: address}``, every second; ``rules`` are paths of alert rules."""

    def __init__(self, folder, targets, rules=()):
        self.folder, self.targets, self.rules = folder, targets, [str(path) for path in rules]
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [address]}]}
            for job, address in self.targets.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": self.rules,
            "scrape_configs": jobs,
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is valid YAML
        self.process = _start(
            self.folder / "prometheus.log",
            "prometheus",
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self.address}",
        )
        _until_ready(self, f"http://{self.address}/-/ready")
        return self

    def __exit__(self, *_):
        _stop(self.process)

    def get(self, endpoint, **parameters):
        """The ``data`` of a response of its HTTP API."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(
                f"http://{self.address}/api/v1/{endpoint}?{query}", timeout=20
            ) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expression, **at):
        """The value of an expression now, or at ``time=``: a list of (labels, value)."""
        data = self.get("query", query=expression, **at)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def scrapes(self, series):
        """The samples of one series in the last five minutes: a list of (time, value)."""
        results = self.get("query", query=f"{series}[5m]")["result"]
        return [(at, float(value)) for each in results for at, value in each["values"]]


class NodeExporter:
    """A node_exporter that reads ``*.prom`` in a folder, and collects nothing else but what is named."""

    def __init__(self, folder, textfiles, *collectors):
        self.folder, self.textfiles = folder, textfiles
        self.collectors = [f"--collector.{name}" for name in collectors]
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        self.process = _start(
            self.folder / "node_exporter.log",
            "prometheus-node-exporter",
            "--collector.disable-defaults",
            "--collector.textfile",
            *self.collectors,
            f"--collector.textfile.directory={self.textfiles}",
            f"--web.listen-address={self.address}",
        )
        _until_ready(self, f"http://{self.address}/metrics")
        return self

    def __exit__(self, *_):
        _stop(self.process)


def _start(log, *command):
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)


def _until_ready(server, url):
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    _stop(server.process)
    logs = "\n".join(path.read_text() for path in server.folder.glob("*.log"))
    raise AssertionError(f"{url} does not answer: {logs[-2000:]}")


def _stop(process):
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
