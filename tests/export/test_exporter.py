"""Both ways out under live settings: what does not work is one sentence, and no report is lost for it."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from network_health import Report, Settings
from network_health.export import Exporter
from network_health.export.exporter import INSTALL_COMMAND
from tests.export.test_endpoint import ask, free_port
from tests.rights import as_nobody

REPORT = Report("healthy", "INFO", "all well", {}, 1_700_000_000.5)


class Logged:
    """An exporter, and what it says."""

    def __init__(self):
        self.log, self.warnings = [], []
        self.exporter = Exporter(self.log.append, self.warnings.append)

    def publish(self, report=REPORT, **config):
        return self.exporter.publish(report, Settings.from_mapping(config))

    def apply(self, **config):
        return self.exporter.apply(Settings.from_mapping(config))


@pytest.fixture
def logged():
    """One whose port is closed in the end."""
    made = Logged()
    yield made
    made.exporter.close()


def taken():
    """A socket that listens on some port of loopback, and its address."""
    owner = socket.create_server(("127.0.0.1", 0))
    return owner, f"127.0.0.1:{owner.getsockname()[1]}"


def test_nothing_unless_a_setting_asks(logged):
    """The very report, no word, no thread, no port, and no client library in memory."""
    assert logged.publish() is REPORT
    assert (logged.log, logged.warnings) == ([], [])
    code = (
        "import sys, threading; from network_health import Monitor;"
        "from network_health.export import Exporter;"
        "monitor = Monitor(); Exporter(print).publish(monitor.check(), monitor.settings);"
        "assert 'prometheus_client' not in sys.modules; assert 'prometheus-listen' not in "
        "[thread.name for thread in threading.enumerate()]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_both_ways_show_the_same(logged, tmp_path):
    """The last report's figures, in the file and at the port; each way is told once."""
    address, path = f"127.0.0.1:{free_port()}", tmp_path / "x.prom"
    for timestamp in (1.0, 2.0, 3.0):
        report = replace(REPORT, timestamp=timestamp)
        shown = logged.publish(report, prometheus_listen=address, prometheus_textfile=str(path))
        assert shown is report
        assert path.read_bytes() == ask(address)[2]
        assert f"network_health_last_check_timestamp_seconds {timestamp}\n" in path.read_text()
    assert logged.log == [
        f"The figures are served at http://{address}/metrics",
        f"The figures are written to {path}",
    ]
    assert logged.warnings == []


def test_a_port_that_is_taken_is_told_once_and_tried_again(logged, tmp_path):
    """Named in the log and in every report, where the file has it too; served as soon as it is free."""
    owner, address = taken()
    path = tmp_path / "x.prom"
    with owner:
        for _ in range(3):
            shown = logged.publish(prometheus_listen=address, prometheus_textfile=str(path))
            (error,) = shown.metrics["settings_errors"]
            assert error.startswith(
                f"prometheus_listen: '{address}' does not work (Address already in use); "
            )
            assert "network_health_settings_errors 1.0\n" in path.read_text()
    assert logged.warnings == [error]
    assert logged.publish(prometheus_listen=address, prometheus_textfile=str(path)) is REPORT
    assert "network_health_settings_errors 0.0\n" in ask(address)[2].decode()
    assert logged.warnings == [error]
    assert logged.log[-1] == f"The figures are served at http://{address}/metrics"


def test_a_folder_that_goes_and_comes(logged, tmp_path):
    """One line when it does not work, one when it does again; the port has the error meanwhile."""
    address, path = f"127.0.0.1:{free_port()}", tmp_path / "folder" / "x.prom"
    config = {"prometheus_listen": address, "prometheus_textfile": str(path)}
    for _ in range(2):
        (error,) = logged.publish(**config).metrics["settings_errors"]
        assert error.startswith(f"prometheus_textfile: '{path}' does not work (No such file or directory); ")
        assert b"network_health_settings_errors 1.0\n" in ask(address)[2]
    path.parent.mkdir()
    assert logged.publish(**config) is REPORT
    assert logged.warnings == [error]
    assert logged.log[-1] == f"The figures are written to {path}"


@pytest.mark.root
def test_a_folder_that_may_not_be_written():
    """As a user without rights: one sentence, and the report is made all the same."""

    def act():
        made = Logged()
        shown = made.publish(prometheus_textfile="/usr/x.prom")
        return shown.status, made.warnings

    said = as_nobody(act)
    assert "'healthy'" in said
    assert "does not work (Permission denied); give a file in a folder" in said


def test_a_change_of_settings_holds_at_once(logged, tmp_path):
    """To another port and file, to nothing, and back: the last report is shown, what was left is gone."""
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    one, two = tmp_path / "one.prom", tmp_path / "two.prom"
    assert logged.apply(prometheus_listen=first) is None
    logged.publish(prometheus_listen=first, prometheus_textfile=str(one))
    logged.apply(prometheus_listen=second, prometheus_textfile=str(two))
    with pytest.raises(ConnectionRefusedError):
        ask(first)
    assert ask(second)[2] == two.read_bytes()
    assert not one.exists()
    logged.apply()
    with pytest.raises(ConnectionRefusedError):
        ask(second)
    assert os.listdir(tmp_path) == []
    logged.apply(prometheus_listen=first)
    assert ask(first)[0] == 200
    logged.apply(prometheus_listen=first, check_interval_sec=77)
    assert b"network_health_check_interval_seconds 77.0\n" in ask(first)[2]


def test_the_same_port_of_another_address(logged):
    """From one of loopback's addresses to all: the old one is closed before."""
    port = free_port()
    for host in ("127.0.0.1", "0.0.0.0", "127.0.0.1"):
        logged.publish(prometheus_listen=f"{host}:{port}")
        assert ask(f"127.0.0.1:{port}")[0] == 200
    assert logged.warnings == []


def test_a_file_that_others_took_away_is_written_again(logged, tmp_path):
    """And one that is gone when it should be removed is no trouble."""
    path = tmp_path / "x.prom"
    for _ in range(2):
        logged.publish(prometheus_textfile=str(path))
        path.unlink()
    logged.apply()
    assert logged.warnings == []


def test_the_file_stays_when_the_process_ends(tmp_path):
    """An alert in it is not over because nobody looks any more; its timestamp tells that it is old."""
    made = Logged()
    made.publish(prometheus_textfile=str(tmp_path / "x.prom"))
    made.exporter.close()
    assert (tmp_path / "x.prom").exists()


def test_a_missing_library_is_told_and_looked_for_again(logged, tmp_path, monkeypatch):
    """One line for each setting, with the command that helps; no port is opened; then it works by itself."""
    address, path = f"127.0.0.1:{free_port()}", tmp_path / "x.prom"
    config = {"prometheus_listen": address, "prometheus_textfile": str(path)}
    with monkeypatch.context() as patched:
        for name in [n for n in sys.modules if n.startswith("network_health.export.metric_families")]:
            patched.delitem(sys.modules, name)
        patched.setitem(sys.modules, "prometheus_client", None)
        for _ in range(2):
            errors = logged.publish(**config).metrics["settings_errors"]
        with pytest.raises(ConnectionRefusedError):
            ask(address)
    assert logged.warnings == errors
    assert [error.partition(":")[0] for error in errors] == ["prometheus_listen", "prometheus_textfile"]
    assert all(error.endswith(f"; run: {sys.executable} {INSTALL_COMMAND}") for error in errors)
    assert logged.publish(**config) is REPORT
    assert ask(address)[2] == path.read_bytes()


def test_errors_of_settings_are_kept_and_masked(logged):
    """What was wrong before stays in the report; with ``redact`` no address comes in by the back door."""
    owner, address = taken()
    with owner:
        report = replace(REPORT, metrics={"settings_errors": ["top_n_procs: -1 is not allowed"]})
        shown = logged.publish(report, prometheus_listen=address, redact=["addresses"])
    first, second = shown.metrics["settings_errors"]
    assert first == "top_n_procs: -1 is not allowed"
    assert "127.0.0.1" not in second
    assert report.metrics["settings_errors"] == [first]


def test_a_text_is_made_once_for_all_who_ask(logged, monkeypatch):
    """Many scrapes of one report cost one rendering."""
    made = []
    address = f"127.0.0.1:{free_port()}"
    logged.publish(prometheus_listen=address)
    make = logged.exporter._text._make
    monkeypatch.setattr(logged.exporter._text, "_make", lambda *about: made.append(about) or make(*about))
    logged.publish(replace(REPORT, timestamp=5.0), prometheus_listen=address)
    assert len({ask(address)[2] for _ in range(5)}) == 1
    assert len(made) == 1


def test_an_error_that_nobody_foresaw_is_told(logged, tmp_path, monkeypatch):
    """Of the client library, say: the report is made, the other way out works."""
    address = f"127.0.0.1:{free_port()}"
    logged.publish(prometheus_listen=address)
    monkeypatch.setattr("network_health.export.exporter.write_textfile", lambda *_: {}["no such key"])
    (error,) = logged.publish(
        prometheus_listen=address, prometheus_textfile=str(tmp_path / "x.prom")
    ).metrics["settings_errors"]
    assert "does not work (KeyError: 'no such key')" in error
    assert b"network_health_settings_errors 1.0\n" in ask(address)[2]


def test_a_disk_that_hangs_holds_nobody_up(logged, tmp_path, monkeypatch):
    """It is waited for once, not at every check; the checks go on, and it works again when the disk does."""
    monkeypatch.setattr("network_health.export.exporter._LONGEST_S", 0.2)
    made, disk = Logged(), threading.Event()
    monkeypatch.setattr("network_health.export.exporter.write_textfile", lambda *_: disk.wait(60))
    for _ in range(3):
        errors = made.publish(prometheus_textfile=str(tmp_path / "x.prom")).metrics["settings_errors"]
        assert errors[0].endswith("x.prom' does not work (no answer)")
    assert made.warnings == errors
    disk.set()
    path = str(tmp_path / "x.prom")
    deadline = time.monotonic() + 20
    while made.publish(prometheus_textfile=path) is not REPORT:
        assert time.monotonic() < deadline


def test_a_file_that_could_not_be_removed_is_removed_later(logged, tmp_path, monkeypatch):
    """Turned off while the disk hangs: told, and tried again."""
    path = tmp_path / "x.prom"
    logged.publish(prometheus_textfile=str(path))
    with monkeypatch.context() as patched:
        patched.setattr(type(path), "unlink", lambda *_: {}["no such key"])
        assert logged.publish().metrics["settings_errors"] == logged.warnings
    assert path.exists()
    assert logged.publish() is REPORT
    assert not path.exists()


def test_no_thread_is_no_end(logged, monkeypatch):
    """A system without threads to give: the sentence has its reason."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("network_health.export.exporter.Endpoint", refuse)
    (error,) = logged.publish(prometheus_listen=":9101").metrics["settings_errors"]
    assert "does not work (can't start new thread)" in error


def test_one_sink_for_what_it_says():
    """Without a place for warnings they go to the log."""
    said = []
    owner, address = taken()
    with owner, closing(Exporter(said.append)) as exporter:
        exporter.publish(REPORT, Settings(prometheus_listen=address))
    assert "Address already in use" in said[0]
