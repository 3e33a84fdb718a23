"""Every setting is a flag, and words mean what the setting's rule allows."""

import argparse
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.cli.flags import add_settings, given_settings, unknown_words
from network_health.cli.protocol_metrics import PROTOCOL_LIMITS
from network_health.settings import Settings

#: Words for each kind of setting, and what they mean.
WORDS = [
    ("conn_threshold", ["2000"], 2000),
    ("conn_threshold", ["2e3"], 2000),
    ("conn_threshold", ["5", "6"], 6),
    ("tx_threshold_mbps", ["2.5"], 2.5),
    ("tx_threshold_mbps", [".5"], 0.5),
    ("exclude_interfaces", ["lo, veth*", "docker0"], ("lo", "veth*", "docker0")),
    ("exclude_interfaces", [""], ()),
    ("report_to_role", ["off"], "off"),
    ("report_to_role", ["12"], "12"),
    ("report_on", ["change"], "change"),
    ("link_down_alerts", ["off"], False),
    ("link_down_alerts", ["True"], True),
    ("retransmit_threshold_percent", ["off"], None),
    ("retransmit_threshold_percent", ["null"], None),
    ("retransmit_threshold_percent", ["2"], 2),
    ("process_network", ["off"], "off"),
    ("redact", ["users", "addresses"], ("users", "addresses")),
]


def parsed(*words):
    """What a command line of these words gives: settings and mistakes."""
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return given_settings(parser.parse_args(words))


@pytest.mark.parametrize(("name", "words", "meaning"), WORDS)
def test_words_and_what_they_mean(name, words, meaning):
    """Numbers, switches, lists, words and ``off``, each by the rule of its setting."""
    flag = "--" + name.replace("_", "-")
    assert parsed(*(part for word in words for part in (flag, word))) == ({name: meaning}, [])


@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
def test_every_setting_has_its_flag(name):
    """Without a value it is a mistake of its own that says what is allowed, and is no setting."""
    settings, mistakes = parsed("--" + name.replace("_", "-"))
    assert settings == {}
    assert len(mistakes) == 1
    assert mistakes[0].startswith("--" + name.replace("_", "-") + " needs a value: give ")


@pytest.mark.parametrize(
    "word", ["nan", "inf", "1e999", "-1", "1_000", "٣", "0x10", "9" * 5000, "1e5000", "", "on"]
)
def test_what_is_no_count_of_connections(word):
    """Refused in a bounded sentence."""
    settings, mistakes = parsed(f"--conn-threshold={word}")
    assert settings == {}
    assert len(mistakes) == 1
    assert len(mistakes[0]) < 200


@given(st.lists(st.text(max_size=20), max_size=5))
def test_words_that_nobody_knows(words):
    """Each is named once at most, whatever it is."""
    assert len(unknown_words(words, argparse.ArgumentParser())) <= len(words)


@given(st.sampled_from([f.name for f in fields(Settings)]), st.text(max_size=30))
def test_any_word_is_a_value_or_a_mistake(name, word):
    """What is taken is what `Settings` itself takes."""
    settings, mistakes = parsed(f"--{name.replace('_', '-')}={word}")
    assert len(settings) + len(mistakes) == 1
    assert Settings.from_mapping(settings)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("--conn-treshold=5", "--conn-threshold"),
        ("--conn", "--conn-threshold or --conntrack-threshold-percent"),
        ("--redact=users", ""),
        ("--tx", "--tx-threshold-mbps"),
        ("--zebra", ""),
        ("-w", ""),
    ],
)
def test_only_a_likely_flag_is_proposed(word, hint):
    """A slip of the hand, or the beginning of few; nothing is better than a silly guess."""
    parser = argparse.ArgumentParser()
    add_settings(parser, without=["redact"])
    said = unknown_words([word], parser)
    assert said == [f"{word.partition('=')[0]}: unknown option{f'; did you mean {hint}?' if hint else ''}"]


def test_a_list_is_asked_for_as_a_flag_takes_it():
    """Words with commas, not the brackets of a file."""
    (mistake,) = parsed("--redact", "cats")[1]
    assert mistake == (
        "--redact: 'cats' is not allowed; give names with commas between them, like addresses,users"
    )
    assert "like lo,veth*" in parsed("--exclude-interfaces")[1][0]


def test_every_limit_has_its_figure():
    """No limit can be set whose figure the plugin's line would not show."""
    limits = {f.name for f in fields(Settings) if "threshold" in f.name}
    shown = {*PROTOCOL_LIMITS.values(), "tx_threshold_mbps", "rx_threshold_mbps", "conn_threshold"}
    assert limits == shown
