"""Builds contents of reports for the pure parts of the live view."""

from hypothesis import strategies as st

from network_health import Report
from network_health.cli.watch.state import CheckResult


def link(name="eth0", out=0.0, into=0.0, up=True):
    """One of ``metrics.interfaces``, with the fields that the view reads; a rate of ``None`` is unknown."""
    rates = {"tx_rate_mbps": out, "rx_rate_mbps": into}
    unknown = [key for key, rate in rates.items() if rate is None]
    entry = {"iface": name, "up": up} | {key: rate or 0 for key, rate in rates.items()}
    return entry | ({"unknown": unknown} if unknown else {})


def process(pid=1, name="init", cpu=0.0, mib=1.0, **more):
    """One of ``metrics.top_procs``."""
    return {"pid": pid, "name": name, "cpu_percent": cpu, "rss_mb": mib, "user": "root"} | more


def traffic(pid=1, name="init", out=0.0, into=0.0, **more):
    """One of ``metrics.top_network``."""
    return {
        "pid": pid,
        "name": name,
        "user": None,
        "net_tx_mbps": out,
        "net_rx_mbps": into,
        "sockets": 1,
    } | more


def alert(check="connections", subject="host", severity="WARNING", lasted_s=0.0):
    """One of ``metrics.alerts``, which began 20,000 days ago by a wrong clock."""
    return {"check": check, "subject": subject, "severity": severity, "since": 0.0, "lasted_s": lasted_s}


def content(details="Network health within normal bounds.", timestamp=1_000_000.0, **metrics):
    """The content of a report with these metrics."""
    severities = [each["severity"] for each in metrics.get("alerts", ())]
    severity = "INFO" if not severities else "CRITICAL" if "CRITICAL" in severities else "WARNING"
    check = {"check": {"readers": {"connections": "kernel"}}}
    return {"details": details, "severity": severity, "timestamp": timestamp, "metrics": check | metrics}


def result(reported, changes=(), started_s=0.0, interval_s=2.0, duration_s=0.0):
    """A check with this content."""
    fields = {name: reported[name] for name in ("details", "severity", "timestamp", "metrics")}
    report = Report(status="", changes=changes, **fields)
    return CheckResult(report, started_s, started_s + interval_s, duration_s)


NAMES = st.text(max_size=20) | st.sampled_from(
    ["eth0", "[red]x[/red]", "\x1b[2J", "数据库" * 5, "e\u0301" * 9, "👩‍🚀"]
)
RATES = st.sampled_from([0, 0.0, 0.01]) | st.floats(0, 1e9)
LINKS = st.lists(
    st.builds(link, NAMES, st.none() | RATES, st.none() | RATES, st.booleans()),
    max_size=30,
    unique_by=lambda each: each["iface"],
)
PROCESSES = st.lists(st.builds(process, st.integers(1, 2**22), NAMES, RATES, RATES), max_size=12)
TRAFFIC = st.lists(st.builds(traffic, st.integers(1, 2**22) | st.none(), NAMES, RATES, RATES), max_size=12)
ALERTS = st.lists(
    st.builds(
        alert, st.sampled_from(["connections", "tx_rate"]), NAMES, st.sampled_from(["WARNING", "CRITICAL"])
    ),
    max_size=8,
)
CULPRITS = st.fixed_dictionaries(
    {},
    optional={
        "connections": st.builds(
            lambda name, percent: {
                "total": 3,
                "owners": [{"pid": 1, "name": name, "percent": percent, "count": 3}],
                "ports": [{"port": 80, "protocol": "tcp", "percent": percent}],
                "note": "not all",
            },
            NAMES,
            st.floats(0, 100),
        ),
        "tx_rate": st.builds(
            lambda name: [{"iface": name, "processes": [{"percent": 3.0}], "kinds": {"rx_crc": 7}}], NAMES
        ),
        "failure": NAMES,
    },
)
CONTENTS = st.builds(
    content,
    details=st.lists(st.text(max_size=120), min_size=1, max_size=8).map("; ".join),
    timestamp=st.floats(0, 4e9),
    interfaces=LINKS,
    total_connections=st.integers(0, 10**7),
    by_status=st.dictionaries(NAMES, st.integers(0, 10**7), max_size=12),
    top_procs=PROCESSES,
    top_memory=PROCESSES,
    top_network=TRAFFIC,
    alerts=ALERTS,
    culprits=CULPRITS,
    failures=st.lists(st.builds(lambda text: {"collector": "x", "reason": text}, NAMES), max_size=3),
)


@st.composite
def partial_contents(draw):
    """A content without the metrics of some collectors."""
    whole = draw(CONTENTS)
    missing = draw(st.sets(st.sampled_from(sorted(whole["metrics"].keys() - {"check"}))))
    both = {"total_connections", "by_status"}
    missing |= both if missing & both else set()
    metrics = {name: value for name, value in whole["metrics"].items() if name not in missing}
    return whole | {"metrics": metrics}
