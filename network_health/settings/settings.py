"""The directive's ``config`` block -> `Settings`.

Laws: every mistake is reported at once; nothing is guessed; a bad value never replaces a good one.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from network_health.settings import rules

#: Keys of a node's ``config`` that the framework itself reads; they are not this agent's to judge.
FRAMEWORK_KEYS = frozenset({"factories", "matrix_secure_verified", "role", "service-manager", "ui"})


class SettingsError(ValueError):
    """One or more settings are not allowed. ``mistakes`` has one sentence each."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def _setting(default: object, rule: rules.Rule, unit: str, meaning: str) -> Any:  # noqa: ANN401 - as `field` does
    return field(default=default, metadata={"rule": rule, "unit": unit, "meaning": meaning})


_MBPS = "a number of Mbps from 0 to 10^30"
_CHECKS = rules.whole("a whole number of checks from 1 to 1000", least=1, most=1000)
_PERCENT = rules.or_off(rules.number("a percentage from 0 to 100", least=0, most=100))
_PER_SEC = rules.or_off(rules.number("a rate per second from 0 to 10^30", least=0))


@dataclass(frozen=True, slots=True)
class Settings:
    """The agent's settings, under the names that the directive uses.

    Raises nothing by itself: build it with `from_mapping` (strict) or `SettingsOutcome.of` (lenient).
    """

    check_interval_sec: int = _setting(
        30,
        rules.whole("a whole number of seconds from 1 to 86400", least=1, most=86400),
        "s",
        "Time from the start of one check to the start of the next.",
    )
    exclude_interfaces: tuple[str, ...] = _setting(
        (),
        rules.names('a list of interface names or shell patterns, like ["lo", "veth*"]'),
        "names",
        "Interfaces that are neither judged nor reported.",
    )
    tx_threshold_mbps: float = _setting(
        100,
        rules.number(_MBPS, least=0),
        "Mbps",
        "Outbound rate of an interface above which it is a finding.",
    )
    rx_threshold_mbps: float = _setting(
        100, rules.number(_MBPS, least=0), "Mbps", "Inbound rate of an interface above which it is a finding."
    )
    conn_threshold: int = _setting(
        1000,
        rules.whole("a whole number of connections from 0 to 10^30", least=0),
        "sockets",
        "Number of connections above which it is a finding.",
    )
    top_n_procs: int = _setting(
        5,
        rules.whole("a whole number of processes from 0 to 1000", least=0, most=1000),
        "processes",
        "How many of the busiest processes a report lists.",
    )
    report_to_role: str = _setting(
        "hive.forensics.data_feed",
        rules.text("the name of a role, not empty"),
        "role",
        "Every node that holds this role gets the reports.",
    )
    report_handler: str = _setting(
        "cmd_ingest_status_report",
        rules.text("the name of a handler, not empty"),
        "handler",
        "The command handler that the receiving agent runs for a report.",
    )

    alert_after_checks: int = _setting(
        1, _CHECKS, "checks", "A limit must be breached in this many checks in a row before it is told."
    )
    clear_percent: float = _setting(
        100,
        rules.number("a percentage from 1 to 100", least=1, most=100),
        "%",
        "A breach ends when the value is at or below this share of its limit.",
    )
    report_on: str = _setting(
        "check",
        rules.choice("check", "change"),
        "rule",
        'Send a report at every "check", or only on a "change" of what is found.',
    )
    repeat_after_sec: int = _setting(
        3600,
        rules.whole("a whole number of seconds from 60 to 10^30", least=60),
        "s",
        'With report_on "change", an unchanged alert is told again after this time.',
    )
    critical_after_checks: int = _setting(
        0,
        rules.whole("a whole number of checks from 1 to 10^30, or 0 for off", least=0),
        "checks",
        "A breach that lasts this many checks becomes CRITICAL; 0 means never.",
    )
    link_down_alerts: bool = _setting(
        True, rules.flag(), "switch", "Tell when an interface that was up goes down, flaps or vanishes."
    )
    packet_errors: str = _setting(
        "new",
        rules.choice("new", "total"),
        "rule",
        'Which packet errors and drops are a finding: "new" ones since the check before, or any in the '
        '"total" since the interface was created.',
    )
    packet_error_percent: float = _setting(
        0,
        rules.number("a percentage from 0 to 100", least=0, most=100),
        "%",
        "New errors and drops are a finding only above this share of the packets of the window.",
    )
    retransmit_threshold_percent: float | None = _setting(
        None, _PERCENT, "%", "Share of TCP segments sent again above which it is a finding."
    )
    listen_overflow_threshold_per_sec: float | None = _setting(
        None, _PER_SEC, "1/s", "Connections lost at full accept queues above which it is a finding."
    )
    syn_queue_threshold_per_sec: float | None = _setting(
        None,
        _PER_SEC,
        "1/s",
        "SYN cookies sent, or SYNs dropped at full queues, above which it is a finding.",
    )
    udp_error_threshold_per_sec: float | None = _setting(
        None,
        _PER_SEC,
        "1/s",
        "UDP datagrams lost at full receive buffers, or refused at full send buffers, above which it is "
        "a finding.",
    )
    softnet_threshold_per_sec: float | None = _setting(
        None, _PER_SEC, "1/s", "Packets dropped, or polls cut short, by the CPUs above which it is a finding."
    )
    conntrack_threshold_percent: float | None = _setting(
        None, _PERCENT, "%", "Share of the connection tracking table in use above which it is a finding."
    )
    orphan_threshold_percent: float | None = _setting(
        None, _PERCENT, "%", "Share of the allowed orphaned sockets above which it is a finding."
    )
    tcp_memory_threshold_percent: float | None = _setting(
        None, _PERCENT, "%", "Share of the allowed TCP memory above which it is a finding."
    )
    ephemeral_port_threshold_percent: float | None = _setting(
        None,
        _PERCENT,
        "%",
        "Share of the local ports in use from one address towards one remote address and port above which it "
        "is a finding.",
    )
    process_network: str = _setting(
        "auto",
        rules.choice("auto", "always", "breach", "off"),
        "rule",
        'When the bytes of each process are told: "always"; on a "breach" alone; "auto" as on a breach, but '
        'counted in every check where connections are few; or "off".',
    )
    redact: tuple[str, ...] = _setting(
        (),
        rules.choices("addresses", "users"),
        "names",
        'What is masked in reports: "addresses" (all IP addresses), "users" (all user names).',
    )
    prometheus_textfile: str | None = _setting(
        None,
        rules.or_off(rules.textfile()),
        "path",
        "Write the figures of every check to this file, for node_exporter's textfile collector.",
    )
    prometheus_listen: str | None = _setting(
        None,
        rules.or_off(rules.endpoint()),
        "address",
        "Serve the figures of the last check to Prometheus here, at /metrics.",
    )

    @classmethod
    def from_mapping(cls, config: Mapping[str, object]) -> Settings:
        """Read ``config`` strictly.

        Raises:
            SettingsError: a value is not allowed or a key is unknown; lists every mistake.
        """
        outcome = SettingsOutcome.of(config)
        if outcome.errors or outcome.warnings:
            raise SettingsError(outcome.errors + outcome.warnings)
        return outcome.settings


@dataclass(frozen=True, slots=True)
class SettingsOutcome:
    """What came of reading a config block leniently.

    ``errors`` are values that were refused (``settings`` has the base's instead), ``warnings`` are
    keys that nobody knows.
    """

    settings: Settings
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, config: object, base: Settings | None = None) -> SettingsOutcome:
        """Read ``config`` over ``base`` (default: the defaults); never raises."""
        base = base or Settings()
        if not isinstance(config, Mapping):
            return cls(base, (f"config: {_show(config)} is not allowed; give a block of settings",), ())
        known = {f.name: f.metadata["rule"] for f in fields(Settings)}
        kept: dict[str, Any] = {}
        errors: list[str] = []
        warnings: list[str] = []
        for key, value in config.items():
            if key in FRAMEWORK_KEYS:
                continue
            if key not in known:
                warnings.append(_unknown(key, tuple(known)))
                continue
            try:
                kept[key] = known[key].read(value)
            except rules.NotAllowed:
                errors.append(f"{key}: {_show(value)} is not allowed; give {known[key].allowed}")
        return cls(replace(base, **kept), tuple(errors), tuple(warnings))


def _unknown(key: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{_show(key)}: unknown setting{hint}"


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def _show(value: object) -> str:
    """The value as an operator may read it in a log: one line, bounded, never failing."""
    try:
        return _REPR.repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number of thousands of digits"
