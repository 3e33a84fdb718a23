"""Files that are no history: one sentence from each command that reads one, and no page."""

import os
import random
import sqlite3

import pytest

from tests.cli.command import run
from tests.history import fabricated


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a history of two hours."""
    path = fabricated.record(tmp_path_factory.mktemp("whole") / "history.sqlite", 2 * fabricated.HOUR_S)
    return path.read_bytes()


def newer(path, whole):
    path.write_bytes(whole)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")


def of_another_program(path, whole):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE checks (at, status)")


def without_tables(path, whole):
    path.write_bytes(whole)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE checks")


def damaged(path, whole):
    """Everything but the first pages is noise."""
    path.write_bytes(whole[:8192] + random.Random(1).randbytes(len(whole) - 8192))


def huge(path, whole):
    """Ten gigabytes of zeros, of which the disk has none."""
    with path.open("wb") as file:
        file.truncate(10 * 10**9)


KINDS = {
    "missing": lambda path, whole: None,
    "empty": lambda path, whole: path.touch(),
    "text": lambda path, whole: path.write_text("no history\n" * 1000),
    "half written": lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
    "folder": lambda path, whole: path.mkdir(),
    "pipe": lambda path, whole: os.mkfifo(path),
    "device": lambda path, whole: path.symlink_to("/dev/zero"),
    "newer": newer,
    "of another program": of_another_program,
    "without tables": without_tables,
    "damaged": damaged,
    "huge": huge,
}


@pytest.mark.parametrize("words", [("page", "--output", "-"), ("page", "--serve", ":8080"), ("history",)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_history(tmp_path, whole, kind, words):
    """The one sentence names the file; it is left as it is."""
    path = tmp_path / "file"
    KINDS[kind](path, whole)
    size = os.path.lexists(path) and os.lstat(path).st_size
    command, *rest = words
    done = run(command, path, *fabricated.RANGE, *rest)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("network-health: ")
    assert str(path) in done.stderr
    assert done.stderr.count("\n") == 1
    assert (os.path.lexists(path) and os.lstat(path).st_size) == size
