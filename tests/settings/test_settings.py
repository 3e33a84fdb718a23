"""The directive's config block: which values are allowed, and what is reported for the others."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Monitor, Settings, SettingsError, SettingsOutcome

WHOLE = ("check_interval_sec", "top_n_procs")
TEXT = ("report_to_role", "report_handler")
NOT_NUMBERS = ["30", "", None, True, False, [30], {"a": 1}, math.nan, math.inf, -math.inf, b"30"]
LIMITS = ("conn_threshold", "tx_threshold_mbps", "rx_threshold_mbps")
REFERENCE_KEYS = (*WHOLE, *LIMITS, *TEXT, "exclude_interfaces")

BAD = [
    *[(key, value) for key in WHOLE for value in [*NOT_NUMBERS, 2.5, -1]],
    *[(key, value) for key in LIMITS for value in [*NOT_NUMBERS, 10**31, -(10**31)]],
    *[(key, value) for key in TEXT for value in [3, 3.5, None, True, "", "  ", ["role"], math.nan]],
    *[
        ("exclude_interfaces", value)
        for value in ["lo", 3, 2.5, None, True, ["lo", 3], [""], [None], {"lo": 1}]
    ],
    ("check_interval_sec", 0),
    ("check_interval_sec", 86401),
]

GOOD = [
    ("check_interval_sec", 60, 60),
    ("check_interval_sec", 60.0, 60),
    ("tx_threshold_mbps", 0, 0),
    ("tx_threshold_mbps", 0.5, 0.5),
    ("rx_threshold_mbps", 100_000, 100_000),
    ("conn_threshold", 0, 0),
    ("conn_threshold", -1, -1),
    ("conn_threshold", 2000.5, 2000.5),
    ("tx_threshold_mbps", -1, -1),
    ("top_n_procs", 0, 0),
    ("exclude_interfaces", [], ()),
    ("exclude_interfaces", ["lo", "veth*"], ("lo", "veth*")),
    ("exclude_interfaces", ("lo",), ("lo",)),
    ("exclude_interfaces", {"lo"}, ("lo",)),
    ("report_to_role", "hive.*", "hive.*"),
    ("report_handler", "cmd_x", "cmd_x"),
]


def test_the_defaults_are_the_references():
    """An empty config gives the defaults of the reference."""
    settings = Settings.from_mapping({})
    assert {key: getattr(settings, key) for key in REFERENCE_KEYS} == {
        "check_interval_sec": 30,
        "exclude_interfaces": (),
        "tx_threshold_mbps": 100,
        "rx_threshold_mbps": 100,
        "conn_threshold": 1000,
        "top_n_procs": 5,
        "report_to_role": "hive.forensics.data_feed",
        "report_handler": "cmd_ingest_status_report",
    }


@pytest.mark.parametrize(("key", "value", "kept"), GOOD)
def test_an_allowed_value_is_kept(key, value, kept):
    """An allowed value is stored; a whole number is stored as an int."""
    got = getattr(Settings.from_mapping({key: value}), key)
    assert got == kept
    assert type(got) is type(kept)


@pytest.mark.parametrize(("key", "value"), BAD)
def test_a_bad_value_is_named_and_the_default_stays(key, value):
    """The mistake names key, value and what is allowed; the default is used."""
    outcome = SettingsOutcome.of({key: value})
    assert outcome.settings == Settings()
    (mistake,) = outcome.errors
    assert mistake.startswith(f"{key}: {value!r:.20}")
    assert "not allowed; give" in mistake
    assert "\n" not in mistake


def test_a_bad_value_does_not_replace_a_good_one():
    """A bad value leaves the base's value in force."""
    base = Settings.from_mapping({"conn_threshold": 7})
    assert SettingsOutcome.of({"conn_threshold": "x", "top_n_procs": 2}, base).settings == (
        Settings.from_mapping({"conn_threshold": 7, "top_n_procs": 2})
    )


def test_the_constructor_checks_and_converts():
    """`Settings` lists every mistake in one error, and stores an allowed value as `from_mapping` does."""
    with pytest.raises(SettingsError) as caught:
        Settings(conn_threshold="x", top_n_procs=-1, check_interval_sec=7)
    assert caught.value.mistakes == (
        "conn_threshold: 'x' is not allowed; give a number of connections from -10^30 to 10^30",
        "top_n_procs: -1 is not allowed; give a whole number of processes from 0 to 1000",
    )
    assert Settings(exclude_interfaces=["lo"]) == Settings.from_mapping({"exclude_interfaces": ["lo"]})


@pytest.mark.parametrize("config", [{"conn_threshold": 7}, {}, "conn_threshold", 0])
def test_a_monitor_takes_only_settings(config):
    """Anything else is refused at once, with what is to be given."""
    with pytest.raises(TypeError) as caught:
        Monitor(config)
    kind = type(config).__name__
    assert str(caught.value) == (
        f"Monitor takes Settings, not {kind}: give Settings(...) or Settings.from_mapping(...)"
    )


def test_all_mistakes_come_in_one_error():
    """One error lists every mistake; for an unknown key it names the nearest known one."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({"check_interval_sec": 2.5, "conn_treshold": 1, "top_n_procs": None})
    assert len(caught.value.mistakes) == 3
    assert "did you mean conn_threshold?" in str(caught.value)


def test_the_frameworks_own_keys_are_ignored():
    """Keys that the framework reads from the same block are neither errors nor warnings."""
    keys = ["factories", "security", "push_live_config", "priority", "rpc_router_role", "matrix_secure_store"]
    outcome = SettingsOutcome.of({"service-manager": [{"role": ["x"]}], **{key: {} for key in keys}})
    assert (outcome.errors, outcome.warnings) == ((), ())


@pytest.mark.parametrize("config", [None, [], "config", 3])
def test_a_config_that_is_no_mapping_is_one_mistake(config):
    """It gives one error, and the defaults are used."""
    outcome = SettingsOutcome.of(config)
    assert outcome.settings == Settings()
    assert len(outcome.errors) == 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = st.sampled_from([f.name for f in fields(Settings)]) | st.text()


@given(st.dictionaries(KEYS, ANYTHING))
def test_any_config_gives_allowed_settings(config):
    """For any config: no exception, one line for each mistake, and a result without mistakes."""
    outcome = SettingsOutcome.of(config)
    assert all("\n" not in mistake for mistake in outcome.errors + outcome.warnings)
    again = SettingsOutcome.of({f.name: getattr(outcome.settings, f.name) for f in fields(Settings)})
    assert again == SettingsOutcome(outcome.settings, {}, ())


@given(st.dictionaries(KEYS, ANYTHING))
def test_no_value_changes_another_setting(config):
    """Each setting of any config is what it is in a config of its own."""
    together = SettingsOutcome.of(config).settings
    for f in fields(Settings):
        alone = SettingsOutcome.of({key: value for key, value in config.items() if key == f.name}).settings
        assert getattr(together, f.name) == getattr(alone, f.name)


def test_many_unknown_keys_are_counted():
    """The first are named with a known one that is near, the rest in one sentence."""
    warnings = SettingsOutcome.of({f"conn_treshold{n}": 1 for n in range(20_000)}).warnings
    assert len(warnings) == 21
    assert warnings[0] == "'conn_treshold0': unknown setting; did you mean conn_threshold?"
    assert warnings[-1] == "19980 more unknown settings"
