"""The page of a history: what it takes to make it, and until a browser has drawn it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.work import Counted, Work
from network_health.history import History

#: The variable of the environment with the path of the history.
HISTORY = "BENCH_HISTORY"
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update")
#: True when everything that can be seen without scrolling is drawn.
_IS_DRAWN = """() => {
    const seen = [...document.querySelectorAll(".panel .plot")].filter(
        plot => plot.getBoundingClientRect().top < innerHeight && plot.getBoundingClientRect().height);
    return seen.length > 0 && seen.every(plot => plot.querySelector("svg .trace path, canvas"));
}"""


def record(days: int) -> Callable[[], int]:
    """Write a history of so many days; returns what counts its alerts."""
    from tests.history import fabricated  # late: the other loads do not need it

    folder = Path(tempfile.mkdtemp(prefix="bench-history-"))
    path = fabricated.record(folder / "history.sqlite", days * fabricated.DAY_S)
    os.environ[HISTORY] = str(path)
    with History.open(path) as history:
        alerts = len(history.alerts(0, fabricated.END + 1))
    return lambda: alerts


def made() -> Work:
    """The command, as an operator runs it."""
    path = _page()

    def run() -> Counted:
        before = _seconds_of_children()
        _make(path)
        size_mb = path.stat().st_size / 1e6
        alerts = path.read_text(encoding="utf-8").count('<details class="alert ')
        return Counted(alerts, f"{size_mb:.1f} MB", (_seconds_of_children() - before) * 1e3)

    return Work(run)


def opened() -> Work:
    """From the begin of the navigation until every plot that can be seen is drawn."""
    import psutil
    from playwright.sync_api import sync_playwright  # late: the other programs do not need it

    path = _page()
    _make(path)
    browser = (
        sync_playwright().start().chromium.launch(executable_path=shutil.which("chromium"), args=_OPTIONS)
    )
    pages = [browser.new_page()]

    def prepare() -> None:
        pages.pop().context.close()
        pages.append(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())

    def run() -> Counted:
        before = {each.pid: each.cpu_times() for each in psutil.Process().children(recursive=True)}
        pages[0].goto(path.as_uri(), wait_until="commit")
        pages[0].wait_for_function(_IS_DRAWN)
        after = {each.pid: each.cpu_times() for each in psutil.Process().children(recursive=True)}
        used_s = sum(sum(times[:2]) for times in after.values())
        used_s -= sum(sum(times[:2]) for pid, times in before.items() if pid in after)
        return Counted(pages[0].locator("details.alert").count(), "Chromium", used_s * 1e3)

    return Work(run, prepare)


def _page() -> Path:
    return Path(os.environ[HISTORY]).with_suffix(".html")


def _make(path: Path) -> None:
    command = [Path(sys.executable).with_name("network-health"), "page", os.environ[HISTORY]]
    subprocess.run([*command, "--output", path], check=True, stdout=subprocess.DEVNULL)


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
