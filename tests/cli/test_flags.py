"""Flags of settings: their names, values and errors."""

import argparse
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.cli.flags import add_settings, read_settings, unknown_arguments
from network_health.reporting import PROTOCOL_LIMITS
from network_health.settings import Settings

#: (setting, values of its flag, value of the setting).
VALUES = [
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
    ("culprits_in_details", ["off"], False),
    ("process_network", ["off"], "off"),
    ("redact", ["users", "addresses"], ("users", "addresses")),
]


def parsed(*words):
    """The settings and errors of a command line."""
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return read_settings(parser.parse_args(words))


@pytest.mark.parametrize(("name", "values", "expected"), VALUES)
def test_values_of_flags(name, values, expected):
    """Numbers, switches, lists, texts and ``off``, each by the rule of its setting."""
    flag = "--" + name.replace("_", "-")
    assert parsed(*(part for value in values for part in (flag, value))) == ({name: expected}, [])


@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
def test_every_setting_has_its_flag(name):
    """A flag without a value is an error that says what is allowed."""
    settings, errors = parsed("--" + name.replace("_", "-"))
    assert settings == {}
    assert len(errors) == 1
    assert errors[0].startswith("--" + name.replace("_", "-") + " needs a value: give ")


@pytest.mark.parametrize(
    "word", ["nan", "inf", "1e999", "-1e31", "1_000", "٣", "0x10", "9" * 5000, "1e5000", "", "on"]
)
def test_invalid_numbers_of_connections(word):
    """Each is an error with a short message."""
    settings, errors = parsed(f"--conn-threshold={word}")
    assert settings == {}
    assert len(errors) == 1
    assert len(errors[0]) < 200


@given(st.lists(st.text(max_size=20), max_size=5))
def test_unknown_arguments(words):
    """Each gives at most one error, whatever it contains."""
    assert len(unknown_arguments(words, argparse.ArgumentParser())) <= len(words)


@given(st.sampled_from([f.name for f in fields(Settings)]), st.text(max_size=30))
def test_any_text_is_a_value_or_an_error(name, word):
    """A value that the flag accepts is one that `Settings` accepts."""
    settings, errors = parsed(f"--{name.replace('_', '-')}={word}")
    assert len(settings) + len(errors) == 1
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
def test_only_a_similar_flag_is_suggested(word, hint):
    """A typing error, or the beginning of at most three flags, gives a suggestion."""
    parser = argparse.ArgumentParser()
    add_settings(parser, without=["redact"])
    errors = unknown_arguments([word], parser)
    assert errors == [f"{word.partition('=')[0]}: unknown option{f'; did you mean {hint}?' if hint else ''}"]


def test_the_error_for_a_list_shows_the_syntax_of_a_flag():
    """Names with commas, not the brackets of a file."""
    (error,) = parsed("--redact", "cats")[1]
    assert error == ("--redact: 'cats' is not allowed; give names separated by commas, like addresses,users")
    assert "like lo,veth*" in parsed("--exclude-interfaces")[1][0]


def test_every_limit_has_its_metric():
    """The line of --nagios shows the metric of every limit, except that of peers, which are many."""
    limits = {f.name for f in fields(Settings) if "threshold" in f.name and not f.name.startswith("peer_")}
    shown = {*PROTOCOL_LIMITS.values(), "tx_threshold_mbps", "rx_threshold_mbps", "conn_threshold"}
    shown.add("container_conn_threshold")
    assert limits == shown
