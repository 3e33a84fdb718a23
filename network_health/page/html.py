"""Writes a history as one HTML file that needs nothing else.

Guarantees: the file loads nothing, from no host and no disk: its own policy forbids it, and allows only the
scripts and the style that are in it, by their hashes. What is kept is never read as markup: the text goes
through the template's autoescape, the numbers are compressed. The size is bounded.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import time
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from network_health.history import History
from network_health.page.alerts import AlertView, alert_view
from network_health.page.encoding import encoded
from network_health.page.panels import Panel, read_panels
from network_health.page.script import MissingLibrary, own_script, own_style, plotly_script, style_ids
from network_health.reporting import printable

if TYPE_CHECKING:
    import jinja2

#: At most so many alerts are shown, the newest.
_MAX_ALERTS = 400
#: At most so many changes of the clock are named, the last ones.
_MAX_SET_BACK = 5
#: plotly makes an empty style sheet and fills it later, which is allowed to the script.
_EMPTY_STYLE = ""


def page_html(history: History, since: float, until: float) -> str:
    """The page of what ``history`` has from ``since``, before ``until`` (epoch seconds).

    Raises:
        HistoryError: the file cannot be read.
        MissingLibrary: jinja2 or plotly is not installed.
    """
    template = _template(printable(history.path))
    first, last = history.first_at, history.last_at
    if first is None or last is None or last < since or first >= until:
        return template.render(
            policy=_policy((), (own_style(),)),
            style=own_style(),
            style_ids=(),
            first=None,
            kept=None if first is None or last is None else (first, last),
        )
    interval_s = history.interval_s
    later = history.cost(last, until).values()  # if the clock was set back after these checks
    first, last = max(first, since), min(max([last, *(series.at[-1] for series in later)]), until)
    library, script = plotly_script(), own_script()
    panels = read_panels(history, first, last + interval_s)
    kept = sorted(history.alerts(first, last + interval_s), key=lambda alert: alert.begin)
    alerts = [alert_view(alert) for alert in kept[-_MAX_ALERTS:]]
    facts = {"first": first, "last": last, "interval": interval_s, "alerts": list(map(_bar, alerts))}
    return template.render(
        policy=_policy((library, script), (own_style(), _EMPTY_STYLE)),
        style=own_style(),
        style_ids=style_ids(library),
        first=first,
        last=last,
        groups=_groups(panels),
        alerts=alerts,
        left_out=len(kept) - len(alerts),
        set_back=history.clock_set_back(first, last + interval_s)[-_MAX_SET_BACK:],
        library=_compressed(library),
        data=_compressed(encoded(panels, facts)),
        script=script,
    )


def _template(source: str) -> jinja2.Template:
    """The template, which says of which file the page is."""
    try:
        import jinja2  # only this command needs it
    except ImportError as error:
        raise MissingLibrary("the page needs jinja2: install matrixswarm-network-health[page]") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("network_health.page", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["utc"] = _utc
    environment.globals["source"] = source
    return environment.get_template("page.html.j2")


def _bar(alert: AlertView) -> list[Any]:
    """What the timeline needs of an alert."""
    end = None if alert.end is None else round(alert.end)
    return [round(alert.begin), end, alert.severity, alert.title, alert.subject, alert.sentence[:300]]


def _groups(panels: Sequence[Panel]) -> list[tuple[str, list[tuple[int, Panel]]]]:
    """The panels with their numbers, by group."""
    numbered = groupby(enumerate(panels), key=lambda each: each[1].group)
    return [(group, list(members)) for group, members in numbered]


def _compressed(text: str) -> str:
    """The text in a form that has no markup and is a third as long."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The Content-Security-Policy: nothing but these scripts and styles."""
    script_hashes, style_hashes = (" ".join(map(_hash, texts)) for texts in (scripts, styles))
    return (
        f"default-src 'none'; script-src {script_hashes}; style-src {style_hashes}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _utc(epoch_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))
