"""``network-health suggest``: the real command on real files."""

import json
import random
import sqlite3
import time

import pytest

from network_health import Settings
from network_health.history import Store
from tests.checked_host import CheckedHost, nic
from tests.cli.command import run, run_here

INTERVAL_S = 300


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two days of an agent that checks each five minutes: 500 connections by day, 1,500 at night."""
    path = tmp_path_factory.mktemp("suggest") / "a.sqlite"
    recorded(path, [1500 if number % 288 < 24 else 500 for number in range(575)])
    return path


def recorded(path, counts):
    """A history with a check for each number of connections, the last one now."""
    host = CheckedHost(check_interval_sec=INTERVAL_S)
    host.epoch = time.time() - host.now_s - INTERVAL_S * len(counts)
    store = Store(path, 64 * 10**6)
    for count in counts:
        store.add(host.check(nic(tx=count / 100), connections=count, after_s=INTERVAL_S), host.settings)
    store.close()


def test_text(kept):
    """How much there is, what was normal, a block to paste, and what the replay says."""
    done = run("suggest", kept)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_ = done.stdout.splitlines()
    assert first.startswith("47.9 hours of history, from ")
    block = done.stdout[done.stdout.index("{") : done.stdout.index("}") + 1]
    assert json.loads(block) == {"conn_threshold": 1900}
    assert "2 alerts in 47.9 hours with the present settings, 0 with the suggested ones\n" in done.stdout
    assert (
        "  recorded by the agent, with the settings of then: 2\n  present: 2 connections\n  suggested: none\n"
    ) in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("conn_threshold"))
    assert row.split()[:6] == ["conn_threshold", "connections", "500", "1,500", "1,500", "1,500"]
    assert row.split()[6:] == ["1,000", "1,900"]


def test_json(kept):
    """The same as values; the block is one that `Settings` accepts."""
    found = json.loads(run_here("suggest", kept, "--json").stdout)
    assert Settings.from_mapping(found["config"]) == Settings(conn_threshold=1900)
    assert (found["history"]["checks"], found["history"]["gaps"]) == (575, 0)
    assert [alert["lasted_s"] for alert in found["replay"]["present"]] == [24 * 300, 24 * 300]
    assert found["replay"]["config"] == []
    assert found["recorded_alerts"] == 2
    limit = next(each for each in found["limits"] if each["setting"] == "conn_threshold")
    assert (limit["present"], limit["suggested"], limit["normal"][0]["median"]) == (1000, 1900, 500)


def test_a_chosen_value(kept):
    """It is replayed instead of the suggested one, also as JSON."""
    done = run_here("suggest", kept, "--set", "conn_threshold=400", "--set", 'exclude_interfaces=["lo"]')
    assert done.returncode == 0
    assert (
        "2 alerts in 47.9 hours with the present settings, "
        '1 with conn_threshold=400, exclude_interfaces=["lo"]'
    ) in done.stdout
    assert "{" not in done.stdout
    assert "still active" in done.stdout


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("conn_treshold=1", "--set: 'conn_treshold' is no setting; see network-health check --help"),
        (
            "top_n_procs=3",
            "--set top_n_procs: it does not decide which alerts there are, so nothing can be replayed",
        ),
        (
            "conn_threshold=many",
            "--set conn_threshold: 'many' is not allowed; give a number of connections from -10^30 to 10^30",
        ),
        (
            "conn_threshold",
            "--set conn_threshold needs a value: give a number of connections from -10^30 to 10^30",
        ),
        (
            "rate_basis=[" + "[" * 5000,
            f'--set rate_basis: \'{"[" * 60}\' is not allowed; give "average" or "peak"',
        ),
    ],
)
def test_a_value_that_cannot_be_replayed(kept, given, sentence):
    """One sentence."""
    done = run_here("suggest", kept, "--set", given)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"network-health: {sentence}\n")


def test_too_little(kept, tmp_path):
    """Less than a day, or nothing, is one sentence; a chosen value is replayed all the same."""
    done = run_here("suggest", kept, "--since", "12h")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("network-health: this range has 1")
    assert done.stderr.endswith(
        " hours of history, and a day is needed to suggest limits; "
        "--set NAME=VALUE replays a value all the same\n"
    )
    assert run_here("suggest", kept, "--since", "12h", "--set", "conn_threshold=5").returncode == 0
    done = run_here("suggest", kept, "--since", "30m")
    assert "this range has 30 minutes of history" in done.stderr or "has 29 minutes" in done.stderr
    done = run_here("suggest", kept, "--since", "2020-01-01", "--until", "2020-02-01")
    assert (done.returncode, done.stderr) == (
        1,
        "network-health: there is no check in this range: nothing can be suggested\n",
    )
    empty = tmp_path / "empty.sqlite"
    recorded(empty, [])
    done = run_here("suggest", empty, "--set", "conn_threshold=5")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "There is no check in this range.")


def test_files_that_are_no_history(tmp_path):
    """One sentence each, no traceback."""
    text, other = tmp_path / "text", tmp_path / "other.sqlite"
    text.write_text("no database at all\n" * 100)
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE checks (at)")
    database.commit()
    database.close()
    for path in (text, other, tmp_path, tmp_path / "missing"):
        done = run("suggest", path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert str(path) in done.stderr


def test_names_with_control_characters(tmp_path):
    """They do not reach the terminal."""
    host = CheckedHost(check_interval_sec=INTERVAL_S)
    host.epoch = time.time() - host.now_s - INTERVAL_S * 290
    store = Store(tmp_path / "a.sqlite", 64 * 10**6)
    for _ in range(290):
        store.add(host.check(nic("e\x1b[31m\u202e0", tx=150.0), after_s=INTERVAL_S), host.settings)
    store.close()
    done = run_here("suggest", tmp_path / "a.sqlite")
    assert "e?[31m?0" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_damaged_files(kept, tmp_path):
    """A file with damaged pages gives an answer or one sentence."""
    source, content = random.Random(14), kept.read_bytes()
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(source.choice([1, 20, 400])):
            damaged[source.randrange(100, len(damaged))] = source.randrange(256)
        path = tmp_path / "damaged.sqlite"
        path.write_bytes(damaged[: source.choice([len(content), len(content) // 2])])
        done = run_here("suggest", path)
        assert "internal error" not in done.stderr
        assert (done.returncode, done.stderr.count("\n")) in ((0, 0), (1, 1)), done.stderr
        refused += done.returncode
    assert refused
