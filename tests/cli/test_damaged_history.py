"""The commands that read a history: values that no agent writes are one sentence, not an internal error."""

import re
import sqlite3

import pytest

from tests.cli.command import run_here
from tests.history.kept import written

RANGE = ("--since", "2023-11-14", "--until", "2023-11-16")
COMMANDS = {
    "history": ("history", *RANGE),
    "json": ("history", "--json", *RANGE),
    "page": ("page", "--output", "page.html"),
    "suggest": ("suggest", "--set", "conn_threshold=5", *RANGE),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The content of a history of 120 checks, the last of which have an alert."""
    path = tmp_path_factory.mktemp("history") / "a.sqlite"
    written(path, 120)
    return path.read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("checks", "at", "'x'"),
        ("checks", "at", "1e300"),
        ("checks", "total", "x'00'"),
        ("checks", "total", "9e999"),
        ("checks_interfaces", "tx_mbps", "'x'"),
        ("checks_interfaces", "tx_mbps", "9e999"),
        ("checks_processes", "name", "x'ff'"),
        ("alerts", "severity", "7"),
        ("alerts", "began", "-1e300"),
        ("alerts", "highest", "'x'"),
        ("alerts", "details", "x'ff'"),
        ("alerts", "culprits", "'" + "[" * 100000 + "'"),
        ("settings", "settings", "''"),
        ("settings", "at", "'x'"),
    ],
)
def test_values_of_other_types(whole, tmp_path, monkeypatch, command, table, column, value):
    """Either the value is not needed, or one sentence names the file and what is wrong."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.sqlite"
    path.write_bytes(whole)
    db = sqlite3.connect(path)
    assert db.execute(f"UPDATE OR REPLACE {table} SET {column} = {value}").rowcount
    db.commit()
    db.close()
    done = run_here(*COMMANDS[command], path)
    if done.returncode == 0:
        assert done.stderr == ""
    else:
        assert done.returncode == 1
        sentence = rf"network-health: {re.escape(str(path))} cannot be read as a history: .+\n"
        assert re.fullmatch(sentence, done.stderr), done.stderr


def test_the_column_is_named(whole, tmp_path):
    """A column whose values are of another type is named."""
    path = tmp_path / "a.sqlite"
    path.write_bytes(whole)
    db = sqlite3.connect(path)
    db.execute("UPDATE checks_interfaces SET tx_mbps = 'fast'")
    db.commit()
    db.close()
    done = run_here("history", *RANGE, path)
    assert done.stderr == (
        f"network-health: {path} cannot be read as a history: the column tx_mbps of checks_interfaces has "
        "values that no agent writes\n"
    )
