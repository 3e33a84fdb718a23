"""What a pushed config says, and who may push it."""

import pytest

from network_health import Settings
from network_health.swarm.live_config import difference, origin, refusal, unwrap


class Sender:
    def __init__(self, verified, uid):
        self._verified, self._uid = verified, uid

    def has_verified_identity(self):
        return self._verified

    def get_sender_uid(self):
        return self._uid


@pytest.mark.parametrize(
    ("identity", "encrypted", "word"),
    [
        (Sender(True, "matrix"), True, None),
        (Sender(True, "other-1"), True, "'other-1' may not command"),
        (Sender(False, "matrix"), True, "could not be verified"),
        (Sender(True, None), True, "None may not command"),
        (None, True, "could not be verified"),
        (None, False, None),
        (Sender(False, None), False, None),
    ],
)
def test_only_matrix_commands_where_identities_exist(identity, encrypted, word):
    """A verified matrix is obeyed, everyone else is refused with the reason."""
    reason = refusal(identity, encrypted=encrypted)
    assert reason is None if word is None else word in reason


@pytest.mark.parametrize(
    "pushed",
    [
        {"conn_threshold": 5},
        {"handler": "cmd_x", "content": {"conn_threshold": 5}},
        {"content": {"config": {"conn_threshold": 5}}},
        {"config": {"conn_threshold": 5}},
    ],
)
def test_every_wrapping_gives_the_settings(pushed):
    """Bare, as a packet's content, or under ``config``: the same settings."""
    assert unwrap(pushed) == {"conn_threshold": 5}


def test_the_log_says_what_changed():
    """Old and new value of each changed setting."""
    after = Settings.from_mapping({"conn_threshold": 5, "top_n_procs": 1})
    assert difference(Settings(), after) == "conn_threshold 1000 -> 5, top_n_procs 5 -> 1"
    assert difference(after, after) == "nothing changed"


def test_a_change_is_one_bounded_line():
    """700,000 patterns and a lone surrogate are shown in short, and printable."""
    after = Settings.from_mapping({"exclude_interfaces": ["veth*"] * 700_000, "report_to_role": "a\udc80"})
    line = difference(Settings(), after)
    assert line.isprintable()
    assert len(line) < 300
    assert line.endswith("report_to_role 'hive.forensics.data_feed' -> 'a\\udc80'")


def test_the_log_says_who_is_known_to_have_asked():
    """The matrix, which carries out the command for any node, or nobody."""
    assert origin(encrypted=True) == "'matrix', which does not say which node asked for it"
    assert origin(encrypted=False) == "an unknown sender, because encryption is off"
