"""The row of a machine, from what its console showed."""

from tests.machines import table

CONSOLE = """6.1.0-50-amd64\r
..s.F
tests/scenarios/test_a.py::test_links[a b|c] (call)\r
E   assert 1 == 2\r
{end}"""
END = """FAILED tests/scenarios/test_a.py::test_links[a b|c] - assert 1 == 2\r
ERROR tests/sources/test_b.py::test_setup - OSError: [Errno 1] a - b\r
SKIPPED [2] tests/scenarios/test_a.py:9: this kernel has no bond: Unknown device type\r
SKIPPED [1] tests/sources/test_b.py:5: podman is not installed\r
1 failed, 311 passed, 3 skipped, 1 error in 1380.10s (0:23:00)\r
exit status 1\r
"""


def test_what_failed_and_what_did_not_run():
    """Each failure once, by its whole name, and each reason with its count."""
    row = table.read("6.1", "linux-image-amd64", CONSOLE.format(end=END))
    assert (row.release, row.passed, row.is_complete, row.is_passed) == ("6.1.0-50-amd64", 311, True, False)
    assert row.failed == ("scenarios/test_a.py::test_links[a b|c]", "sources/test_b.py::test_setup")
    assert row.lacking == ["this kernel has no bond: Unknown device type"]
    assert row.text == (
        "| `6.1` | linux-image-amd64 | 6.1.0-50-amd64 | 311 | scenarios/test_a.py::test_links[a b&#124;c]<br>"
        "sources/test_b.py::test_setup | 1: podman is not installed<br>"
        "2: this kernel has no bond: Unknown device type |"
    )


def test_a_machine_that_ended_before_its_tests():
    """What had failed until then is known, and that there may be more."""
    row = table.read("6.1", "x", CONSOLE.format(end="Kernel panic - not syncing"))
    assert (row.is_complete, row.is_passed, row.passed) == (False, False, 0)
    assert "| did not end; scenarios/test_a.py::test_links[a b&#124;c] |" in row.text


def test_a_row_takes_the_place_of_the_earlier_one(tmp_path, monkeypatch):
    """All others stay as they are."""
    page = tmp_path / "kernels.md"
    page.write_text(
        "a\n<!-- machines -->\n| h |\n|---|\n| `6.1` | old |\n| `x` | y |\n<!-- /machines -->\nb\n"
    )
    monkeypatch.setattr(table, "PAGE", page)
    row = table.read("6.1", "new", CONSOLE.format(end="3 passed in 1.00s"))
    table.write(row)
    assert page.read_text() == (
        f"a\n<!-- machines -->\n| h |\n|---|\n{row.text}\n| `x` | y |\n<!-- /machines -->\nb\n"
    )
