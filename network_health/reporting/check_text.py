"""Formats a report's content as a page of text. Pure.

Guarantees: a value that is not known is ``-``, never 0 and never left out. The page is bounded: of many
findings the first are printed, of many interfaces those with an alert and the busiest, with the number of the
others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from network_health.reporting.limited_metrics import (
    Content,
    compared_rate,
    connection_states,
    protocol_metrics,
    worst_first,
)
from network_health.reporting.terminal import (
    BOLD,
    DIM,
    GREEN,
    RED,
    YELLOW,
    Cell,
    Painter,
    inline,
    outline,
    printable,
    table,
)
from network_health.settings import Settings

#: At most so many findings, and so many interfaces.
_MAX_LINES = 40
_SEVERITY_COLOURS = {"INFO": GREEN, "WARNING": YELLOW, "CRITICAL": RED}


def text_page(content: Content, settings: Settings, painter: Painter) -> str:
    """The report, one block after another; a block without metrics is left out."""
    metrics = content["metrics"]
    known = f"{metrics.get('coverage_percent', 0)} % of the bytes have a known owner"
    blocks = (
        _verdict(content, painter),
        _interfaces(metrics, settings, painter),
        _connections(metrics, settings, painter),
        _processes("Busiest processes", "", metrics.get("top_procs", ()), painter),
        _not_read(metrics, painter),
        _processes("Busiest on the network", known, metrics.get("top_network", ()), painter),
        _protocols(metrics, settings, painter),
        _culprits(metrics, painter),
        _cost(metrics, painter),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, blocks) if lines)


def _verdict(content: Content, painter: Painter) -> Iterator[str]:
    severity = content["severity"]
    colour = _SEVERITY_COLOURS.get(severity, "")
    clock = datetime.fromtimestamp(content["timestamp"]).strftime("%Y-%m-%d %H:%M:%S")
    yield f"{painter.paint(severity, colour)}  {painter.paint(content['status'], BOLD)}  {clock}"
    findings = printable(content["details"]).split("; ")
    for finding in findings[:_MAX_LINES]:
        yield f"  {painter.paint(finding, colour if severity != 'INFO' else '')}"
    if len(findings) > _MAX_LINES:
        yield f"  {len(findings) - _MAX_LINES} more findings"


def _not_read(metrics: Content, painter: Painter) -> Iterator[str]:
    """A line for each collector that has failed."""
    for failure in metrics.get("failures", ()):
        yield _title(f"{printable(failure['collector']).capitalize()} -", "not known", painter)


def _interfaces(metrics: Content, settings: Settings, painter: Painter) -> Iterator[str]:
    links = metrics.get("interfaces")
    if not links:
        return
    peak = ", peak of a second" if settings.rate_basis == "peak" else ""
    limits = f"limits: {settings.tx_threshold_mbps} Mbps out, {settings.rx_threshold_mbps} Mbps in{peak}"
    yield _title("Interfaces", limits, painter)
    breached = {(alert["check"], alert["subject"]) for alert in metrics.get("alerts", ())}
    head = ("name", "state", ">out Mbps", ">in Mbps", ">speed", ">new errors", ">new drops", "addresses")
    order = worst_first(links, metrics, settings)
    rows = [_link(links[number], settings, breached) for number in sorted(order[:_MAX_LINES])]
    yield from _indented(table(head, rows, painter))
    if left_out := order[_MAX_LINES:]:
        alerted = {subject for _, subject in breached}
        count = sum(links[number]["iface"] in alerted for number in left_out)
        yield f"  {len(left_out)} more, {f'{count} of them with an alert' if count else 'without an alert'}"


def _link(link: Content, settings: Settings, breached: set[tuple[str, str]]) -> list[Cell]:
    def cell(text: object, check: str) -> Cell:
        return Cell(printable(text), YELLOW if (check, link["iface"]) in breached else "")

    up = link["up"]
    return [
        Cell(printable(link["iface"])),
        Cell("up" if up else "down", "" if up else DIM),
        cell(_rate(compared_rate(link, "tx", settings)), "tx_rate"),
        cell(_rate(compared_rate(link, "rx", settings)), "rx_rate"),
        Cell(str(link["speed_mbps"] or "-")),
        cell(_known_sum(link["new_tx_errs"], link["new_rx_errs"]), "packet_errors"),
        cell(_known_sum(link["new_drops"]), "packet_errors"),
        Cell(inline([*link["ip"], *link["ip6"]])),
    ]


def _rate(mbps: float | None) -> str:
    return "-" if mbps is None else f"{mbps:.2f}"


def _known_sum(*counts: int | None) -> str:
    known = [count for count in counts if count is not None]
    return str(sum(known)) if len(known) == len(counts) else "-"


def _connections(metrics: Content, settings: Settings, painter: Painter) -> Iterator[str]:
    if "total_connections" not in metrics:
        return
    yield _title(f"Connections {metrics['total_connections']}", f"limit: {settings.conn_threshold}", painter)
    states = connection_states(metrics)
    rows = [[Cell(printable(name)), Cell(str(count))] for name, count in states]
    if rows:
        yield from _indented(table(("state", ">sockets"), rows, painter))


#: (column, field, format); a column that no row has is left out.
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    (">pid", "pid", ""),
    ("name", "name", ""),
    ("container", "container", ""),
    (">CPU %", "cpu_percent", ".1f"),
    (">memory MiB", "rss_mb", ".1f"),
    (">read", "read_bytes", "bytes"),
    (">written", "write_bytes", "bytes"),
    (">out Mbps", "net_tx_mbps", ".2f"),
    (">in Mbps", "net_rx_mbps", ".2f"),
    (">sockets", "sockets", ""),
    ("user", "user", ""),
)


def _processes(title: str, remark: str, processes: Sequence[Content], painter: Painter) -> Iterator[str]:
    if not processes:
        return
    yield _title(title, remark, painter)
    known = [c for c in _COLUMNS if any(c[1] in process for process in processes)]
    rows = [[Cell(_formatted(process.get(name), form)) for _, name, form in known] for process in processes]
    yield from _indented(table([head for head, _, _ in known], rows, painter))


def _formatted(value: object, form: str) -> str:
    if value is None:
        return "-"
    if form == "bytes" and isinstance(value, int | float):
        return _bytes(value)
    return format(value, form) if form and isinstance(value, int | float) else printable(value)


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _protocols(metrics: Content, settings: Settings, painter: Painter) -> Iterator[str]:
    rows = []
    for metric in protocol_metrics(metrics, settings):
        breached = metric.limit is not None and metric.value is not None and metric.value > metric.limit
        name = metric.name.removesuffix("_percent").removesuffix("_per_sec").replace("_", " ")
        unit = " %" if metric.unit == "%" else " /s"
        limit = "off" if metric.limit is None else f"{metric.limit}{unit}"
        value = "-" if metric.value is None else f"{metric.value}{unit}"
        rows.append([Cell(name), Cell(value, YELLOW if breached else ""), Cell(limit)])
    if rows:
        yield _title("Protocols", "", painter)
        yield from _indented(table(("metric", ">value", ">limit"), rows, painter))


def _culprits(metrics: Content, painter: Painter) -> Iterator[str]:
    culprits = metrics.get("culprits")
    if culprits:
        yield _title("Culprits", "", painter)
        yield from _indented(list(outline(culprits)))


def _cost(metrics: Content, painter: Painter) -> Iterator[str]:
    if check := metrics.get("check"):
        readers = check["readers"]
        parts = [
            f"{name} {ms:.1f}" + (f" by {printable(readers[name])}" if name in readers else "")
            for name, ms in check["collectors"].items()
        ]
        yield painter.paint(f"The check took {check['total_ms']:.1f} ms ({', '.join(parts)}).", DIM)
    for failure in metrics.get("failures", ()):
        sentence = f"{failure['collector']} failed: {failure['reason']}"
        yield painter.paint(printable(sentence), YELLOW)


def _title(title: str, remark: str, painter: Painter) -> str:
    return painter.paint(title, BOLD) + (f"  {painter.paint(remark, DIM)}" if remark else "")


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
