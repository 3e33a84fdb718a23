"""The containers of processes in the live view."""

from network_health.cli.watch import tables
from network_health.cli.watch.theme import Theme
from tests.cli.watch.contents import traffic

ROWS = [traffic(7, "postgres", 200.25, 2, protocol="tcp"), traffic(None, "unattributed", 50)]


def shown(rows, width=80):
    """The lines as text."""
    return [each.plain for each in tables.processes(rows, "network", width, Theme())]


def test_a_process_is_shown_with_its_container():
    """Next to the rates, also on a narrow terminal; a long name is cropped."""
    head, postgres, _ = shown([ROWS[0] | {"container": "db"}, ROWS[1]], 62)
    assert head.split() == ["Processes", "by", "network", "out", "Mbps", "in", "Mbps", "container"]
    assert postgres.split() == ["postgres", "200.25", "2.00", "db"]
    assert all(len(line) <= 80 for line in shown([ROWS[0] | {"container": "c" * 64}]))


def test_without_containers_there_is_no_such_column():
    """A wide terminal has the protocol."""
    assert "container" not in shown(ROWS, 120)[0]
    assert shown(ROWS, 120)[0].split()[-1] == "protocol"
    assert shown(ROWS, 120)[1].split()[-1] == "tcp"
