"""The two outputs under changing settings: a problem is one sentence, and no report is lost."""

import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from network_health import Report, Settings
from network_health.export import Exporter
from tests.export.test_endpoint import free_port, get
from tests.rights import as_nobody

REPORT = Report("healthy", "INFO", "all well", {}, 1_700_000_000.5)


class Logged:
    """An exporter and what it logs."""

    def __init__(self):
        self.log, self.warnings = [], []
        self.exporter = Exporter(self.log.append, self.warnings.append)

    def publish(self, report=REPORT, **config):
        return self.exporter.publish(report, Settings.from_mapping(config))

    def apply(self, **config):
        return self.exporter.apply(Settings.from_mapping(config))


@pytest.fixture
def logged():
    """An exporter that is closed after the test."""
    made = Logged()
    yield made
    made.exporter.close()


def port_in_use():
    """A socket that listens on a port of 127.0.0.1, and its address."""
    owner = socket.create_server(("127.0.0.1", 0))
    return owner, f"127.0.0.1:{owner.getsockname()[1]}"


def test_nothing_is_exported_by_default(logged):
    """The report is unchanged; no log line, thread or port."""
    assert logged.publish() is REPORT
    assert (logged.log, logged.warnings) == ([], [])
    code = (
        "import threading; from network_health import Monitor;"
        "from network_health.export import Exporter;"
        "monitor = Monitor(); Exporter(print, print).publish(monitor.check(), monitor.settings);"
        "assert 'prometheus-listen' not in [thread.name for thread in threading.enumerate()]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_both_outputs_have_the_same_text(logged, tmp_path):
    """File and port have the metrics of the last report; each output is logged once."""
    address, path = f"127.0.0.1:{free_port()}", tmp_path / "x.prom"
    for timestamp in (1.0, 2.0, 3.0):
        report = replace(REPORT, timestamp=timestamp)
        shown = logged.publish(report, prometheus_listen=address, prometheus_textfile=str(path))
        assert shown is report
        assert path.read_bytes() == get(address)[2]
        assert f"network_health_last_check_timestamp_seconds {timestamp}\n" in path.read_text()
    assert logged.log == [
        f"The metrics are served at http://{address}/metrics",
        f"The metrics are written to {path}",
    ]
    assert logged.warnings == []


def test_a_port_in_use_is_logged_once_and_tried_again(logged, tmp_path):
    """The log has it once, every report and the file have it; the port is served once it is free."""
    owner, address = port_in_use()
    path = tmp_path / "x.prom"
    with owner:
        for _ in range(3):
            shown = logged.publish(prometheus_listen=address, prometheus_textfile=str(path))
            (error,) = shown.metrics["settings_errors"]
            assert error.startswith(
                f"prometheus_listen: '{address}' does not work (Address already in use); "
            )
            assert "network_health_settings_errors 1\n" in path.read_text()
    assert logged.warnings == [error]
    assert logged.publish(prometheus_listen=address, prometheus_textfile=str(path)) is REPORT
    assert "network_health_settings_errors 0\n" in get(address)[2].decode()
    assert logged.warnings == [error]
    assert logged.log[-1] == f"The metrics are served at http://{address}/metrics"


def test_a_folder_that_is_created_later(logged, tmp_path):
    """One line while it is missing, one when the file is written; the port shows the error."""
    address, path = f"127.0.0.1:{free_port()}", tmp_path / "folder" / "x.prom"
    config = {"prometheus_listen": address, "prometheus_textfile": str(path)}
    for _ in range(2):
        (error,) = logged.publish(**config).metrics["settings_errors"]
        assert error.startswith(f"prometheus_textfile: '{path}' does not work (No such file or directory); ")
        assert b"network_health_settings_errors 1\n" in get(address)[2]
    path.parent.mkdir()
    assert logged.publish(**config) is REPORT
    assert logged.warnings == [error]
    assert logged.log[-1] == f"The metrics are written to {path}"


@pytest.mark.root
def test_a_folder_without_write_permission():
    """A user without rights gets one sentence, and the report."""

    def publish():
        made = Logged()
        shown = made.publish(prometheus_textfile="/usr/x.prom")
        return shown.status, made.warnings

    result = as_nobody(publish)
    assert "'healthy'" in result
    assert "does not work (Permission denied); give a file in a folder" in result


def test_new_settings_apply_at_once(logged, tmp_path):
    """The last report moves to another port and file; the old port is closed, the old file removed."""
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    one, two = tmp_path / "one.prom", tmp_path / "two.prom"
    assert logged.apply(prometheus_listen=first) is None
    logged.publish(prometheus_listen=first, prometheus_textfile=str(one))
    logged.apply(prometheus_listen=second, prometheus_textfile=str(two))
    with pytest.raises(ConnectionRefusedError):
        get(first)
    assert get(second)[2] == two.read_bytes()
    assert not one.exists()
    logged.apply()
    with pytest.raises(ConnectionRefusedError):
        get(second)
    assert os.listdir(tmp_path) == []
    logged.apply(prometheus_listen=first)
    assert get(first)[0] == 200
    logged.apply(prometheus_listen=first, check_interval_sec=77)
    assert b"network_health_check_interval_seconds 77\n" in get(first)[2]


def test_the_same_port_of_another_address(logged):
    """From 127.0.0.1 to all addresses and back: the old socket is closed first."""
    port = free_port()
    for host in ("127.0.0.1", "0.0.0.0", "127.0.0.1"):
        logged.publish(prometheus_listen=f"{host}:{port}")
        assert get(f"127.0.0.1:{port}")[0] == 200
    assert logged.warnings == []


def test_a_deleted_file_is_written_again(logged, tmp_path):
    """A file that is already deleted when it should be removed is no problem."""
    path = tmp_path / "x.prom"
    for _ in range(2):
        logged.publish(prometheus_textfile=str(path))
        path.unlink()
    logged.apply()
    assert logged.warnings == []


def test_the_file_stays_when_the_process_ends(tmp_path):
    """Its alerts do not look resolved; its timestamp shows that it is old."""
    made = Logged()
    made.publish(prometheus_textfile=str(tmp_path / "x.prom"))
    made.exporter.close()
    assert (tmp_path / "x.prom").exists()


def test_settings_errors_are_kept_and_masked(logged):
    """Earlier errors stay in the report; ``redact`` also masks addresses in errors of the export."""
    owner, address = port_in_use()
    with owner:
        report = replace(REPORT, metrics={"settings_errors": ["top_n_procs: -1 is not allowed"]})
        shown = logged.publish(report, prometheus_listen=address, redact=["addresses"])
    first, second = shown.metrics["settings_errors"]
    assert first == "top_n_procs: -1 is not allowed"
    assert "127.0.0.1" not in second
    assert report.metrics["settings_errors"] == [first]


def test_a_report_is_rendered_once(logged, monkeypatch):
    """Many scrapes of one report need one rendering."""
    rendered = []
    address = f"127.0.0.1:{free_port()}"
    logged.publish(prometheus_listen=address)
    monkeypatch.setattr(
        "network_health.export.exporter.exposition", lambda *source: rendered.append(source) or b"a 1\n"
    )
    logged.publish(replace(REPORT, timestamp=5.0), prometheus_listen=address)
    assert len({get(address)[2] for _ in range(5)}) == 1
    assert len(rendered) == 1


def test_an_unexpected_error_is_reported(logged, tmp_path, monkeypatch):
    """The report is made, and the other output works."""
    address = f"127.0.0.1:{free_port()}"
    logged.publish(prometheus_listen=address)
    monkeypatch.setattr("network_health.export.exporter.write_textfile", lambda *_: {}["no such key"])
    (error,) = logged.publish(
        prometheus_listen=address, prometheus_textfile=str(tmp_path / "x.prom")
    ).metrics["settings_errors"]
    assert "does not work (KeyError: 'no such key')" in error
    assert b"network_health_settings_errors 1\n" in get(address)[2]


def test_a_hanging_disk_does_not_delay_checks(logged, tmp_path, monkeypatch):
    """The write is waited for once, not at every check; the output works again when the disk does."""
    monkeypatch.setattr("network_health.export.exporter._TIMEOUT_S", 0.2)
    made, disk = Logged(), threading.Event()
    monkeypatch.setattr("network_health.export.exporter.write_textfile", lambda *_: disk.wait(60))
    for _ in range(3):
        errors = made.publish(prometheus_textfile=str(tmp_path / "x.prom")).metrics["settings_errors"]
        assert errors[0].endswith("x.prom' does not work (no answer)")
    assert made.warnings == errors
    disk.set()
    path = str(tmp_path / "x.prom")
    deadline = time.monotonic() + 60
    while made.publish(prometheus_textfile=path) is not REPORT:
        assert time.monotonic() < deadline


def test_a_file_that_could_not_be_removed_is_removed_later(logged, tmp_path, monkeypatch):
    """A failed removal is reported and tried again at the next check."""
    path = tmp_path / "x.prom"
    logged.publish(prometheus_textfile=str(path))
    with monkeypatch.context() as patched:
        patched.setattr(type(path), "unlink", lambda *_: {}["no such key"])
        assert logged.publish().metrics["settings_errors"] == logged.warnings
    assert path.exists()
    assert logged.publish() is REPORT
    assert not path.exists()


def test_without_a_thread_the_report_is_made(logged, monkeypatch):
    """If no thread can be started, the sentence has the reason."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("network_health.export.exporter.Endpoint", refuse)
    (error,) = logged.publish(prometheus_listen=":9101").metrics["settings_errors"]
    assert "does not work (can't start new thread)" in error
