"""Reports that wait: every alert arrives everywhere, in order, whatever happens in between."""

import json
import os
import stat

import pytest

from network_health.delivery.outbox import GIVE_UP_AFTER_S
from tests.delivery.outbox_model import AGENT, Nodes, outbox, report
from tests.faults import FolderIsAFile


@pytest.fixture
def queue(tmp_path):
    """A folder as the framework makes it, which holds somebody else's file as well."""
    folder = tmp_path / "queue"
    folder.mkdir()
    (folder / "other.json").write_text("not ours")
    yield folder
    assert (folder / "other.json").read_text() == "not ours"


@pytest.fixture
def log():
    """The lines that an operator would read."""
    return []


def waiting_files(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".report"))


def test_a_report_reaches_every_recipient(queue, log):
    """Every recipient gets the report once, nothing stays behind, nothing is logged."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    report_id = box.add(report(1), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    assert nodes.ids("a") == nodes.ids("b") == [report_id]
    assert (len(box), waiting_files(queue), log) == (0, [], [])


def test_the_content_arrives_as_it_was_given(queue, log):
    """Content that waited on disk is the same as before, but for its id, odd names included."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    content = {**report(1), "details": "eth\udcff0 ü\n", "timestamp": 1.25, "none": None}
    report_id = box.add(content, ["a"])
    outbox(queue, log.append).deliver(nodes.send, ["a"])
    assert nodes.got["a"] == [{**content, "metrics": {**content["metrics"], "report_id": report_id}}]
    assert "report_id" not in content["metrics"]


def test_info_that_is_taken_at_once_makes_no_file(queue, log):
    """The routine report costs no file."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    box.add(report(1, "INFO"), ["a"])
    assert waiting_files(queue) == []
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), waiting_files(queue)) == ([1], [])


@pytest.mark.parametrize("severity", ["WARNING", "CRITICAL"])
def test_an_alert_is_on_disk_before_its_first_send(queue, log, severity):
    """When the first send begins, the file is there, whole, and nobody else may read it."""
    box, seen = outbox(queue, log.append), []

    def send(node, content):
        (name,) = waiting_files(queue)
        mode = stat.S_IMODE((queue / name).stat().st_mode)
        seen.append((mode, json.loads((queue / name).read_bytes())["content"] == content))
        return True

    box.add(report(1, severity), ["a"])
    box.deliver(send, ["a"])
    assert seen == [(0o600, True)]


def test_a_recipient_that_is_down_gets_its_reports_in_order_later(queue, log):
    """The others do not wait for it; it is tried once a pass; one line when it begins, one at the end."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    nodes.down = {"a"}
    for number in (1, 2, 3):
        box.add(report(number), ["a", "b"])
        nodes.tries.clear()
        box.deliver(nodes.send, ["a", "b"])
        assert nodes.tries == ["a", "b"]
    assert (nodes.numbers("a"), nodes.numbers("b")) == ([], [1, 2, 3])
    nodes.down = set()
    box.deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b"), len(box)) == ([1, 2, 3], [1, 2, 3], 0)
    assert log == ["a cannot be reached: its reports wait until it can", "a takes reports again"]


def test_a_node_may_ask_for_patience(queue, log):
    """What cannot be sent just yet keeps its place, and nobody is told of it."""
    nodes, box, answers = Nodes("a"), outbox(queue, log.append), iter([True, None, True, True])
    for number in (1, 2, 3):
        box.add(report(number), ["a"])

    def send(node, content):
        return next(answers) and nodes.send(node, content)

    box.deliver(send, ["a"])
    assert nodes.numbers("a") == [1]
    box.deliver(send, ["a"])
    assert (nodes.numbers("a"), log) == ([1, 2, 3], [])


def test_progress_survives_the_process(queue, log):
    """A node that has a report is not sent it again by the next process; the other gets the same id."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    nodes.down = {"b"}
    report_id = box.add(report(1), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    nodes.down = set()
    outbox(queue, log.append).deliver(nodes.send, [])
    assert (nodes.ids("a"), nodes.ids("b")) == ([report_id], [report_id])


def test_without_a_holder_a_report_waits_for_whoever_comes(queue, log):
    """A report that nobody could be named for goes to all who hold the role when it is delivered."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    box.add(report(1), [])
    box.deliver(nodes.send, [])
    assert (len(waiting_files(queue)), nodes.tries) == (1, [])
    outbox(queue, log.append).deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b"), waiting_files(queue)) == ([1], [1], [])


def test_a_later_holder_does_not_get_what_others_were_sent(queue, log):
    """Who did not hold the role when a report was sent has no claim to it."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    nodes.down = {"a"}
    box.add(report(1), ["a"])
    box.deliver(nodes.send, ["a", "b"])
    assert nodes.numbers("b") == []


def test_of_info_only_the_newest_waits(queue, log):
    """Alerts around it stay; after a restart as well."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    nodes.down = {"a"}
    for number, severity in enumerate(["INFO", "WARNING", "INFO", "CRITICAL", "INFO", "WARNING"]):
        box.add(report(number, severity), ["a"])
        box.deliver(nodes.send, ["a"])
    box, nodes.down = outbox(queue, log.append), set()
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [1, 3, 4, 5]


def test_a_full_queue_drops_info_first_then_the_oldest(queue, log):
    """One line when that begins, one that counts the lost when there is room again."""
    nodes, box = Nodes("a"), outbox(queue, log.append, capacity=3)
    nodes.down = {"a"}
    ids = [box.add(report(number), ["a"]) for number in (1, 2)]
    box.add(report(3, "INFO"), ["a"])
    box.deliver(nodes.send, ["a"])
    for number in (4, 5, 6):
        box.add(report(number), ["a"])
        box.deliver(nodes.send, ["a"])
    nodes.down = set()
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), len(box), waiting_files(queue)) == ([4, 5, 6], 0, [])
    assert log == [
        "a cannot be reached: its reports wait until it can",
        f"3 alerts wait: from {ids[0]} on, the oldest are dropped",
        "a takes reports again",
        "2 alerts were dropped while the queue was full",
    ]


def test_a_queue_full_for_one_node_does_not_starve_another(queue, log):
    """A node that is up gets its INFO although the queue is full of alerts for one that is down."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append, capacity=3)
    nodes.down = {"a"}
    for number in (1, 2, 3):
        box.add(report(number), ["a"])
    box.add(report(4, "INFO"), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    nodes.down = set()
    box.deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b")) == ([1, 2, 3], [4])


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0" * 4096, b"{", b"[" * 100_000, b"[]", b"\xff\xfe", b'{"version": 2}', None],
    ids=["empty", "zeros", "cut", "deep", "other", "binary", "newer", "half"],
)
@pytest.mark.parametrize("when", ["before the start", "under way"])
def test_a_damaged_file_is_set_aside(queue, log, damage, when):
    """The others are delivered, one line tells, the file is kept under another name."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    nodes.down = {"a"}
    for number in (1, 2, 3):
        box.add(report(number), ["a"])
    box.deliver(nodes.send, ["a"])
    path = queue / waiting_files(queue)[1]
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    log.clear()
    if when == "before the start":
        box = outbox(queue, log.append)
    nodes.down = set()
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), len(box)) == ([1, 3], 0)
    assert [name for name in os.listdir(queue) if name.endswith(".damaged")] == [path.name + ".damaged"]
    (line,) = [line for line in log if "damaged" in line]
    assert path.name in line


def test_damaged_files_do_not_pile_up(queue, log):
    """Of many only the newest few are kept; each had its line."""
    for number in range(20):
        (queue / f"network-health-{number:012d}-1.report").write_bytes(b"?")
    outbox(queue, log.append)
    kept = sorted(name for name in os.listdir(queue) if name.startswith("network-health-0"))
    assert kept == [f"network-health-{number:012d}-1.report.damaged" for number in range(15, 20)]
    assert len(log) == 20


def test_half_written_files_are_cleared_away(queue, log):
    """What a killed process left of a write is removed without a word."""
    (queue / "network-health-000000000007-1.report.tmp").write_bytes(b'{"version"')
    outbox(queue, log.append)
    assert (os.listdir(queue), log) == (["other.json"], [])


def test_a_report_that_somebody_deleted_is_forgotten(queue, log):
    """An operator may empty the queue under way; what comes later is delivered."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    nodes.down = {"a"}
    report_id = box.add(report(1), ["a"])
    box.deliver(nodes.send, ["a"])
    (queue / waiting_files(queue)[0]).unlink()
    nodes.down = set()
    box.add(report(2), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [2]
    assert f"The waiting report {report_id} was deleted by somebody else" in log


def test_numbers_go_on_after_a_respawn(queue, log):
    """Ids count without a gap over processes, INFO that made no file included; a new boot starts at 1."""
    box = outbox(queue, log.append)
    ids = [box.add(report(n, "INFO"), ["a"]) for n in range(3)] + [box.add(report(3), ["a"])]
    ids += [outbox(queue, log.append).add(report(4), ["a"])]
    names, numbers = zip(*(each.rsplit("-", 1) for each in ids), strict=True)
    assert (len(set(names)), numbers) == (1, ("000001", "000002", "000003", "000004", "000005"))
    assert names[0].startswith(f"{AGENT}-3a4b5c6d")


def test_no_id_is_given_twice_when_numbers_cannot_be_kept(queue, log):
    """A number file that cannot be written, is damaged or lost, leads to a new series of ids."""
    ids, numbers = [], queue / "network-health-last-number"

    def add(box, count=2):
        ids.extend(box.add(report(0, "INFO"), ["a"]) for _ in range(count))

    box = outbox(queue, log.append)
    add(box)
    numbers.rename(queue / "hidden")
    numbers.mkdir()
    add(box)
    numbers.rmdir()
    (queue / "hidden").rename(numbers)
    add(outbox(queue, log.append))
    add(box)
    numbers.write_bytes(b"nonsense")
    add(outbox(queue, log.append))
    numbers.unlink()
    add(outbox(queue, log.append))
    assert len(set(ids)) == len(ids) == 12


def test_a_node_that_is_gone_is_given_up(queue, log):
    """After an hour without the role and out of reach; what nobody has goes to today's holders."""
    now = [0.0]
    nodes, box = Nodes("a", "b", "c"), outbox(queue, log.append, clock=lambda: now[0])
    nodes.down = {"a"}
    box.add(report(1), ["a"])
    box.add(report(2), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    for now[0] in (0.0, GIVE_UP_AFTER_S - 1, GIVE_UP_AFTER_S, GIVE_UP_AFTER_S + 1):
        assert len(box) == 2 or now[0] > GIVE_UP_AFTER_S - 1
        box.deliver(nodes.send, ["b", "c"])
    assert (nodes.numbers("b"), nodes.numbers("c"), len(box)) == ([2, 1], [1], 0)
    assert len(log) == 2
    assert "a no longer holds the role" in log[1]


@pytest.mark.parametrize("holders", [["a"], []], ids=["holds the role", "nobody knows who holds it"])
def test_a_node_is_not_given_up_while_it_may_hold_the_role(queue, log, holders):
    """However long it is down."""
    now = [0.0]
    nodes, box = Nodes("a"), outbox(queue, log.append, clock=lambda: now[0])
    nodes.down = {"a"}
    box.add(report(1), ["a"])
    for _ in range(5):
        box.deliver(nodes.send, holders)
        now[0] += GIVE_UP_AFTER_S
    nodes.down = set()
    box.deliver(nodes.send, holders)
    assert nodes.numbers("a") == [1]


def test_an_error_in_send_loses_nothing(queue, log):
    """What a send raises passes through; who had the report by then does not get it again."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)

    def send(node, content):
        if node == "b":
            raise RuntimeError("no key")
        return nodes.send(node, content)

    box.add(report(1), ["a", "b"])
    with pytest.raises(RuntimeError, match="no key"):
        box.deliver(send, ["a", "b"])
    outbox(queue, log.append).deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b")) == ([1], [1])


def test_a_file_that_could_not_be_removed_is_removed_later(queue, log):
    """A delivered report's file stays while its folder is out of reach, and no new file takes its name."""
    nodes, box, fault = Nodes("a"), outbox(queue, log.append), FolderIsAFile(queue)
    box.add(report(1), ["a"])
    fault.begin()
    box.deliver(nodes.send, ["a"])
    fault.end()
    nodes.down = {"a"}
    box.add(report(2), ["a"])
    box.deliver(nodes.send, ["a"])
    box.deliver(nodes.send, ["a"])
    assert len(waiting_files(queue)) == 1
    nodes.down = set()
    outbox(queue, log.append).deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [1, 2]
    assert [line.partition(" (")[0] for line in log if "folder" in line] == [
        f"The queue folder {queue} cannot be used",
        f"The queue folder {queue} can be used again",
    ]


def test_a_folder_out_of_reach_at_the_start_is_read_later(queue, log):
    """What an earlier process left is sent before what came meanwhile, once each, the newest INFO alone."""
    nodes, fault = Nodes("a"), FolderIsAFile(queue)
    nodes.down = {"a"}
    for number, severity in ((1, "WARNING"), (2, "INFO")):
        box = outbox(queue, log.append)
        box.add(report(number, severity), ["a"])
        box.deliver(nodes.send, ["a"])
    fault.begin()
    box = outbox(queue, log.append)
    for number, severity in ((3, "WARNING"), (4, "INFO")):
        box.add(report(number, severity), ["a"])
    fault.end()
    box.add(report(5), ["a"])
    nodes.down = set()
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), waiting_files(queue)) == ([1, 3, 4, 5], [])


def test_an_unreadable_report_does_not_hold_up_newer_ones(queue, log):
    """It is sent as soon as it can be read again."""
    nodes, box, fault = Nodes("a"), outbox(queue, log.append), FolderIsAFile(queue)
    nodes.down = {"a"}
    box.add(report(1), ["a"])
    box.deliver(nodes.send, ["a"])
    nodes.down = set()
    fault.begin()
    box.add(report(2), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [2]
    fault.end()
    nodes.down = {"a"}
    box.deliver(nodes.send, ["a"])
    assert "can be used again" in log[-1]
    nodes.down = set()
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), len(box)) == ([2, 1], 0)


@pytest.mark.parametrize("key", ["recovered", "ended"])
def test_a_report_of_an_end_is_not_replaced_by_a_routine_one(queue, log, key):
    """What was told to have begun is told to be over, although newer INFO came, also after a death."""
    ending = report(1, "INFO")
    ending["metrics"][key] = [{"check": "tx_rate", "subject": "eth0", "lasted_s": 30.0}]
    nodes, box = Nodes("a"), outbox(queue, log.append)
    box.add(ending, ["a"])
    box.add(report(2, "INFO"), ["a"])
    box = outbox(queue, log.append)
    box.add(report(3, "INFO"), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [1, 3]
    assert nodes.got["a"][0]["severity"] == "INFO"


def test_an_info_that_must_arrive_is_not_replaced(queue, log):
    """It waits on disk like an alert, and goes out as the INFO that it is."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    box.add(report(1, "INFO"), [], must_arrive=True)
    box.add(report(2, "INFO"), [])
    box = outbox(queue, log.append)
    box.add(report(3, "INFO"), [])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [1, 3]
    assert nodes.got["a"][0]["severity"] == "INFO"
