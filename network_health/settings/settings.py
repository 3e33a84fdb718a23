"""Reads the directive's ``config`` block into `Settings`.

Guarantees: all mistakes are reported at once. A bad value never replaces a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from network_health.settings import rules
from network_health.settings.mistakes import SettingsError, mistake, shown, unknown_keys
from network_health.settings.setting_fields import percent_limit, rate_limit, setting

_MBPS = rules.threshold("Mbps")
_CHECKS = rules.integer("a whole number of checks from 1 to 1000", minimum=1, maximum=1000)


@dataclass(frozen=True, slots=True)
class Settings:
    """The agent's settings, with the names of the directive.

    Raises:
        SettingsError: a value is not allowed; lists every mistake. `SettingsOutcome.of` never raises.
    """

    check_interval_sec: int = setting(
        30,
        rules.integer("a whole number of seconds from 1 to 86400", minimum=1, maximum=86400),
        "s",
        "Time from the start of one check to the start of the next.",
    )
    exclude_interfaces: tuple[str, ...] = setting(
        (),
        rules.names('a list of interface names or shell patterns, like ["lo", "veth*"]'),
        "names",
        "Interfaces that are neither checked nor reported.",
    )
    tx_threshold_mbps: float = setting(100, _MBPS, "Mbps", "Limit for the outbound rate of an interface.")
    rx_threshold_mbps: float = setting(100, _MBPS, "Mbps", "Limit for the inbound rate of an interface.")
    conn_threshold: float = setting(
        1000,
        rules.threshold("connections"),
        "sockets",
        "Limit for the number of TCP and UDP sockets in all states.",
    )
    top_n_procs: int = setting(
        5,
        rules.integer("a whole number of processes from 0 to 1000", minimum=0, maximum=1000),
        "processes",
        "Number of the busiest processes in a report.",
    )
    report_to_role: str = setting(
        "hive.forensics.data_feed",
        rules.text("the name of a role, not empty"),
        "role",
        "Every node that has this role gets the reports.",
    )
    report_handler: str = setting(
        "cmd_ingest_status_report",
        rules.text("the name of a handler, not empty"),
        "handler",
        "The command handler that the receiving agent runs for a report.",
    )

    rate_basis: str = setting(
        "average",
        rules.choice("average", "peak"),
        "rule",
        'Which rate of an interface is compared with its limits: the "average" since the previous check, or '
        'the "peak", its highest second. Where the peak is unknown, it is the average.',
    )
    alert_after_checks: int = setting(
        1, _CHECKS, "checks", "A limit must be breached in this many checks in a row before it is reported."
    )
    clear_percent: float = setting(
        100,
        rules.number("a percentage from 1 to 100", minimum=1, maximum=100),
        "%",
        "An alert is resolved when its value is at or below this share of its limit.",
    )
    report_on: str = setting(
        "check",
        rules.choice("check", "change"),
        "rule",
        'Send a report after every "check", or only after a "change" of the alerts.',
    )
    repeat_after_sec: int = setting(
        3600,
        rules.integer("a whole number of seconds from 60 to 10^30", minimum=60),
        "s",
        'With report_on "change", an unchanged alert is reported again after this time.',
    )
    critical_after_checks: int = setting(
        0,
        rules.integer("a whole number of checks from 1 to 10^30, or 0 for off", minimum=0),
        "checks",
        "An alert becomes CRITICAL when its limit was breached in this many checks; 0 means never.",
    )
    link_down_alerts: bool = setting(
        True,
        rules.boolean(),
        "switch",
        "Report when an interface that was up goes down, flaps or disappears.",
    )
    packet_errors: str = setting(
        "new",
        rules.choice("new", "total"),
        "rule",
        'Which packet errors and drops are a finding: "new" ones since the previous check, or any in the '
        '"total" since the interface was created.',
    )
    packet_error_percent: float = setting(
        0,
        rules.number("a percentage from 0 to 100", minimum=0, maximum=100),
        "%",
        "New errors and drops are a finding only above this share of all packets of their direction.",
    )
    retransmit_threshold_percent: float | None = percent_limit(
        "Limit for the share of TCP segments that are retransmitted."
    )
    peer_retransmit_threshold_percent: float | None = percent_limit(
        "Limit for the share of the bytes to one remote address that are sent again. Evaluated where "
        "process_network reads the bytes in every check."
    )
    listen_overflow_threshold_per_sec: float | None = rate_limit(
        "Limit for connection attempts dropped because the accept queue is full."
    )
    listen_drop_threshold_per_sec: float | None = rate_limit(
        "Limit for connection attempts that listening sockets drop for any reason: a full accept queue, or a "
        "full SYN queue without SYN cookies."
    )
    syn_queue_threshold_per_sec: float | None = rate_limit(
        "Limit for SYN cookies sent, and for SYNs dropped because the SYN queue is full."
    )
    udp_error_threshold_per_sec: float | None = rate_limit(
        "Limit for UDP datagrams lost because a receive buffer is full, and for datagrams not sent because a "
        "send buffer is full."
    )
    softnet_threshold_per_sec: float | None = rate_limit(
        "Limit for softnet drops (the backlog queue of a CPU is full), and for softnet squeezes (a CPU "
        "stopped receive processing at its budget, although packets were left)."
    )
    conntrack_threshold_percent: float | None = percent_limit(
        "Limit for the share of the connection tracking table that is in use."
    )
    orphan_threshold_percent: float | None = percent_limit(
        "Limit for the number of orphaned TCP sockets, as a share of tcp_max_orphans."
    )
    tcp_memory_threshold_percent: float | None = percent_limit(
        "Limit for the memory of all TCP sockets, as a share of the maximum in tcp_mem."
    )
    ephemeral_port_threshold_percent: float | None = percent_limit(
        "Limit for the share of the ephemeral ports that is in use between one local address and one remote "
        "address and port."
    )
    container_conn_threshold: float | None = setting(
        None,
        rules.optional(rules.threshold("connections")),
        "sockets",
        "Limit for the number of TCP and UDP sockets in the network namespace of a container or service.",
    )
    namespaces: str = setting(
        "auto",
        rules.choice("auto", "off"),
        "rule",
        "Whether the sockets of other network namespaces are counted: in every check where there are any "
        '("auto"), or never ("off").',
    )
    culprits_in_details: bool = setting(
        True,
        rules.boolean(),
        "switch",
        "Add the culprit of each finding to the text of a report. The metrics have it in any case.",
    )
    culprit_refresh_sec: int = setting(
        300,
        rules.integer("a whole number of seconds from 1 to 10^30", minimum=1),
        "s",
        "The culprit of an unchanged alert is looked up again after this time, which doubles up to one hour.",
    )
    process_network: str = setting(
        "auto",
        rules.choice("auto", "always", "breach", "off"),
        "rule",
        'When a report has the network bytes of each process. "always": in every report. "breach": on a '
        'breach of a rate. "auto": the same, and with few connections also on a breach of the '
        'connection limit. "off": never.',
    )
    bpf: bool = setting(
        False,
        rules.boolean(),
        "switch",
        "Count the bytes of UDP and all other sockets by process, too, with BPF programs: for a second, on a "
        'breach of a rate that TCP does not explain. With process_network "always": all the time.',
    )
    redact: tuple[str, ...] = setting(
        (),
        rules.subset("addresses", "users"),
        "names",
        'What is masked in reports: "addresses" (all IP addresses), "users" (all user names).',
    )
    prometheus_textfile: str | None = setting(
        None,
        rules.optional(rules.textfile()),
        "path",
        "Write the metrics of each check to this file, for node_exporter's textfile collector.",
    )
    prometheus_listen: str | None = setting(
        None,
        rules.optional(rules.endpoint()),
        "address",
        "Serve the metrics of the last check to Prometheus at this address, under /metrics.",
    )
    history: bool | str = setting(
        False,
        rules.switch_or_path("a file"),
        "switch",
        "Keep every check and alert in a file: network-health-history.sqlite in the agent's own folder, or "
        "this one.",
    )
    history_max_mb: int = setting(
        64,
        rules.integer("a whole number of MB from 1 to 1000000", minimum=1, maximum=1000000),
        "MB",
        "How large the history may be; the oldest checks are removed first.",
    )

    def __post_init__(self) -> None:
        """Check each value that is not the default."""
        mistakes = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is each.default:
                continue
            try:
                object.__setattr__(self, each.name, each.metadata["rule"].read(value))
            except rules.NotAllowed:
                mistakes.append(mistake(each.name, value, each.metadata["rule"]))
        if mistakes:
            raise SettingsError(tuple(mistakes))

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
    """The result of reading a config block leniently.

    ``refused`` has a sentence for each refused value, by its key; ``settings`` has the base's value for it.
    ``warnings`` name unknown keys.
    """

    settings: Settings
    refused: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """The sentences of the refused values."""
        return tuple(self.refused.values())

    @classmethod
    def of(cls, config: object, base: Settings | None = None) -> SettingsOutcome:
        """Read ``config`` on top of ``base``, which defaults to the default settings; never raises."""
        base = base or Settings()
        if not isinstance(config, Mapping):
            error = f"config: {shown(config)} is not allowed; give a block of settings"
            return cls(base, {"config": error}, ())
        known = {f.name: f.metadata["rule"] for f in fields(Settings)}
        values: dict[str, Any] = {}
        refused: dict[str, str] = {}
        unknown: list[object] = []
        for key, value in config.items():
            if key not in known:
                unknown.append(key)
                continue
            try:
                values[key] = known[key].read(value)
            except rules.NotAllowed:
                refused[key] = mistake(key, value, known[key])
        return cls(replace(base, **values), refused, tuple(unknown_keys(unknown, tuple(known))))
