"""The outbox: every alert reaches every recipient, in order."""

import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health.delivery.outbox import MOST_ALERTS, MOST_INFO
from network_health.delivery.reachability import GIVE_UP_AFTER_S
from tests.delivery.outbox_model import AGENT, Nodes, outbox, report
from tests.examples import examples
from tests.faults import FolderIsAFile


@pytest.fixture
def queue(tmp_path):
    """A queue folder that also has a file of another program."""
    folder = tmp_path / "queue"
    folder.mkdir()
    (folder / "other.json").write_text("another program's")
    yield folder
    assert (folder / "other.json").read_text() == "another program's"


@pytest.fixture
def log():
    """The lines of the agent's log."""
    return []


def waiting_files(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".report"))


def test_a_report_reaches_every_recipient(queue, log):
    """Every recipient gets the report once; no file is left and nothing is logged."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    report_id = box.add(report(1), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    assert nodes.ids("a") == nodes.ids("b") == [report_id]
    assert (len(box), waiting_files(queue), log) == (0, [], [])


def test_the_content_arrives_unchanged(queue, log):
    """Content that waited on disk differs only by its id, even with names that are not UTF-8."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    content = {**report(1), "details": "eth\udcff0 ü\n", "timestamp": 1.25, "none": None}
    report_id = box.add(content, ["a"])
    outbox(queue, log.append).deliver(nodes.send, ["a"])
    assert nodes.got["a"] == [{**content, "metrics": {**content["metrics"], "report_id": report_id}}]
    assert "report_id" not in content["metrics"]


def test_info_that_is_accepted_at_once_makes_no_file(queue, log):
    """An INFO that every recipient accepts at once is never written."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    box.add(report(1, "INFO"), ["a"])
    assert waiting_files(queue) == []
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), waiting_files(queue)) == ([1], [])


@pytest.mark.parametrize("severity", ["WARNING", "CRITICAL"])
def test_an_alert_is_on_disk_before_its_first_send(queue, log, severity):
    """At the first send the file is complete, and only its owner may read it."""
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
    """Other nodes do not wait; the node is tried once a pass; the log has a line at begin and end."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    nodes.down = {"a"}
    for number in (1, 2, 3):
        box.add(report(number), ["a", "b"])
        nodes.attempts.clear()
        box.deliver(nodes.send, ["a", "b"])
        assert nodes.attempts == ["a", "b"]
    assert (nodes.numbers("a"), nodes.numbers("b")) == ([], [1, 2, 3])
    nodes.down = set()
    box.deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b"), len(box)) == ([1, 2, 3], [1, 2, 3], 0)
    assert log == ["a cannot be reached: its reports wait until it can", "a takes reports again"]


def test_a_send_may_be_postponed(queue, log):
    """A send that answers None keeps the order and logs nothing."""
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
    """The next process sends a report only to the node that lacks it, under the same id."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    nodes.down = {"b"}
    report_id = box.add(report(1), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    nodes.down = set()
    outbox(queue, log.append).deliver(nodes.send, [])
    assert (nodes.ids("a"), nodes.ids("b")) == ([report_id], [report_id])


def test_without_a_receiver_a_report_waits_for_one(queue, log):
    """A report added without recipients goes to all receivers at the time of delivery."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    box.add(report(1), [])
    box.deliver(nodes.send, [])
    assert (len(waiting_files(queue)), nodes.attempts) == (1, [])
    outbox(queue, log.append).deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b"), waiting_files(queue)) == ([1], [1], [])


def test_a_later_receiver_does_not_get_earlier_reports(queue, log):
    """A node that became a receiver after a report was added does not get it."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append)
    nodes.down = {"a"}
    box.add(report(1), ["a"])
    box.deliver(nodes.send, ["a", "b"])
    assert nodes.numbers("b") == []


def test_info_waits_as_alerts_do(queue, log):
    """A node that was away gets the INFO of that time, too, in the order of all reports, after a restart."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    nodes.down = {"a"}
    for number, severity in enumerate(["INFO", "WARNING", "INFO", "CRITICAL", "INFO", "WARNING"]):
        box.add(report(number, severity), ["a"])
        box.deliver(nodes.send, ["a"])
    box, nodes.down = outbox(queue, log.append), set()
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [0, 1, 2, 3, 4, 5]


def test_of_each_kind_the_oldest_is_dropped(queue, log):
    """120 INFO reports and 100 alerts wait; each kind has a log line when reports begin to be dropped."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    nodes.down = {"a"}
    ids = [box.add(report(number, ("INFO", "WARNING")[number % 2]), ["a"]) for number in range(244)]
    box.deliver(nodes.send, ["a"])
    assert (len(box), box.alerts) == (MOST_INFO + MOST_ALERTS, MOST_ALERTS) == (220, 100)
    box, nodes.down = outbox(queue, log.append), set()
    assert (len(box), box.alerts) == (220, 100)
    box.add(report(244, "INFO"), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [n for n in range(245) if n >= (44 if n % 2 else 6)]
    assert (len(box), waiting_files(queue)) == (0, [])
    assert [line.replace(ids[0], "0").replace(ids[1], "1") for line in log[:2]] == [
        "100 alerts wait: from 1 on, the oldest are dropped",
        "120 INFO reports wait: from 0 on, the oldest are dropped",
    ]
    assert log[-1] == "1 INFO reports were dropped while the queue was full"


def test_a_full_queue_is_logged_at_begin_and_end(queue, log):
    """One log line when it begins to drop, one with the number dropped when half of the queue is free."""
    nodes, box = Nodes("a"), outbox(queue, log.append, most_alerts=3)
    nodes.down = {"a"}
    ids = [box.add(report(number), ["a"]) for number in (1, 2)]
    for number in (4, 5, 6):
        box.add(report(number), ["a"])
        box.deliver(nodes.send, ["a"])
    answers = iter([True, None, True, True])
    box.deliver(lambda node, content: next(answers) and nodes.send(node, content), ["a"])
    box.add(report(7), ["a"])
    box.deliver(nodes.send, ["a"])
    assert len(log) == 2
    nodes.down = set()
    box.deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), len(box), waiting_files(queue)) == ([5, 6, 7], 0, [])
    assert log == [
        "a cannot be reached: its reports wait until it can",
        f"3 alerts wait: from {ids[0]} on, the oldest are dropped",
        "a takes reports again",
        "3 alerts were dropped while the queue was full",
    ]


def test_a_queue_full_for_one_node_does_not_starve_another(queue, log):
    """A node that is up gets its INFO although the queue is full of alerts for a node that is down."""
    nodes, box = Nodes("a", "b"), outbox(queue, log.append, most_alerts=3)
    nodes.down = {"a"}
    for number in (1, 2, 3):
        box.add(report(number), ["a"])
    box.add(report(4, "INFO"), ["a", "b"])
    box.deliver(nodes.send, ["a", "b"])
    nodes.down = set()
    box.deliver(nodes.send, ["a", "b"])
    assert (nodes.numbers("a"), nodes.numbers("b")) == ([1, 2, 3, 4], [4])


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0" * 4096, b"{", b"[" * 100_000, b"[]", b"\xff\xfe", b'{"version": 2}', None],
    ids=["empty", "zeros", "cut", "deep", "other", "binary", "newer", "half"],
)
@pytest.mark.parametrize("when", ["before the start", "while running"])
def test_a_damaged_file_is_set_aside(queue, log, damage, when):
    """The other reports are delivered; the damaged file is logged and kept under another name."""
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


def test_only_the_newest_damaged_files_are_kept(queue, log):
    """Of twenty damaged files five are kept; each has a log line."""
    for number in range(20):
        (queue / f"network-health-{number:012d}-1.report").write_bytes(b"?")
    outbox(queue, log.append)
    kept = sorted(name for name in os.listdir(queue) if name.startswith("network-health-0"))
    assert kept == [f"network-health-{number:012d}-1.report.damaged" for number in range(15, 20)]
    assert len(log) == 20


def test_partly_written_files_are_removed(queue, log):
    """The temporary file of a killed process is removed without a log line."""
    (queue / "network-health-0123456789abcdef.tmp").write_bytes(b'{"version"')
    outbox(queue, log.append)
    assert (os.listdir(queue), log) == (["other.json"], [])


def test_a_deleted_file_is_skipped(queue, log):
    """An operator may delete waiting files while the agent runs; later reports are delivered."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    nodes.down = {"a"}
    report_id = box.add(report(1), ["a"])
    box.deliver(nodes.send, ["a"])
    (queue / waiting_files(queue)[0]).unlink()
    nodes.down = set()
    box.add(report(2), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [2]
    assert f"The waiting report {report_id} was deleted by another process" in log


def test_numbers_continue_after_a_respawn(queue, log):
    """Numbers have no gap from one process to the next, also for INFO that was never written."""
    box = outbox(queue, log.append)
    ids = [box.add(report(n, "INFO"), ["a"]) for n in range(3)] + [box.add(report(3), ["a"])]
    ids += [outbox(queue, log.append).add(report(4), ["a"])]
    names, numbers = zip(*(each.rsplit("-", 1) for each in ids), strict=True)
    assert (len(set(names)), numbers) == (1, ("000001", "000002", "000003", "000004", "000005"))
    assert names[0].startswith(f"{AGENT}-3a4b5c6d")


def test_no_id_is_given_twice_when_numbers_cannot_be_kept(queue, log):
    """A number file that is unwritable, damaged or missing starts a new series of ids."""
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


def test_a_lost_receiver_is_given_up(queue, log):
    """After an hour without the role, unreachable: reports that no node has go to the current receivers."""
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
    assert "a is no longer a receiver" in log[1]


@pytest.mark.parametrize("receivers", [["a"], []], ids=["is a receiver", "receivers unknown"])
def test_a_possible_receiver_is_not_given_up(queue, log, receivers):
    """A node that is, or may be, a receiver is not given up, however long it is down."""
    now = [0.0]
    nodes, box = Nodes("a"), outbox(queue, log.append, clock=lambda: now[0])
    nodes.down = {"a"}
    box.add(report(1), ["a"])
    for _ in range(5):
        box.deliver(nodes.send, receivers)
        now[0] += GIVE_UP_AFTER_S
    nodes.down = set()
    box.deliver(nodes.send, receivers)
    assert nodes.numbers("a") == [1]


def test_an_error_in_send_loses_nothing(queue, log):
    """An exception in send passes through; a node that already has the report does not get it again."""
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
    """The file of a delivered report is removed once the folder works; no new file takes its name."""
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


def test_a_folder_that_fails_at_the_start_is_read_later(queue, log):
    """Reports of an earlier process go before newer ones, once each."""
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
    assert (nodes.numbers("a"), waiting_files(queue)) == ([1, 2, 3, 4, 5], [])


def test_an_unreadable_report_does_not_delay_newer_ones(queue, log):
    """A report whose file cannot be read is sent once it can be read again."""
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
def test_a_report_of_a_resolved_alert_is_durable(queue, log, key):
    """An INFO with a resolved alert is on the disk before its first send, and is sent as INFO."""
    resolution = report(1, "INFO")
    resolution["metrics"][key] = [{"check": "tx_rate", "subject": "eth0", "lasted_s": 30.0}]
    nodes, box = Nodes("a"), outbox(queue, log.append)
    box.add(resolution, ["a"])
    box.add(report(2, "INFO"), ["a"])
    box = outbox(queue, log.append)
    box.add(report(3, "INFO"), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [1, 3]
    assert nodes.got["a"][0]["severity"] == "INFO"


def test_an_info_that_is_added_as_durable_is(queue, log):
    """It is on the disk before its first send, like an alert, and is sent as INFO."""
    nodes, box = Nodes("a"), outbox(queue, log.append)
    box.add(report(1, "INFO"), [], durable=True)
    box.add(report(2, "INFO"), [])
    assert (box.alerts, len(box)) == (1, 2)
    box = outbox(queue, log.append)
    box.add(report(3, "INFO"), [])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [1, 3]
    assert nodes.got["a"][0]["severity"] == "INFO"


@settings(max_examples=examples(60), deadline=None)
@given(events=st.lists(st.sampled_from(["INFO", "WARNING", "pass", "outage", "kill"]), max_size=60))
def test_the_newest_of_each_kind_arrive_in_order(tmp_path_factory, events):
    """In any order of events the newest of each kind wait; they arrive oldest first, after a kill as well."""
    folder = tmp_path_factory.mktemp("queue")
    nodes, limits = Nodes("a"), {"WARNING": 3, "INFO": 5}
    options = {"most_alerts": limits["WARNING"], "most_info": limits["INFO"]}
    box, waiting, arrived = outbox(folder, lambda line: None, **options), [], []
    for number, event in enumerate([*events, "pass"]):
        if event in limits:
            box.add(report(number, event), ["a"])
            waiting.append((number, event))
            same_kind = [each for each in waiting if each[1] == event]
            if len(same_kind) > limits[event]:
                waiting.remove(same_kind[0])
        elif event == "kill":  # of INFO, only what has waited for a pass has a file
            box.deliver(lambda node, content: None, ["a"])
            box = outbox(folder, lambda line: None, **options)
        else:
            nodes.down = {"a"} if event == "outage" else set()
            box.deliver(nodes.send, ["a"])
            if event == "pass":
                arrived, waiting = arrived + waiting, []
        assert (len(box), box.alerts) == (len(waiting), sum(kind == "WARNING" for _, kind in waiting))
    assert nodes.numbers("a") == [number for number, _ in arrived]
