"""A real browser, Debian's Chromium without a window, that keeps what a page asks for and complains about."""

import os
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

from tests.tree import ROOT

CHROMIUM = shutil.which("chromium")
#: In CI nothing may pass by not running.
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="chromium is not installed"
)
#: Screenshots; ignored by git.
PICTURES = ROOT / "build" / "page"
#: No sandbox: the tests run as root. Nothing of the browser itself uses the network.
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
TIMEOUT_MS = 60_000

#: Of each plot: the range of its time axis, what is drawn in it, and whether it is on the screen.
DRAWN = """() => [...document.querySelectorAll(".panel .plot")].map(plot => ({
    isSeen: plot.getBoundingClientRect().bottom > 0 && plot.getBoundingClientRect().top < innerHeight,
    title: plot.closest(".panel").querySelector("h3").textContent.trim(),
    range: plot.layout?.xaxis?.range ?? null,
    ink: plot.querySelectorAll("svg .trace path, svg .trace circle, svg .point").length,
}))"""

SETTLED = """async () => {
    for (let frames = 0; frames < 3; frames++) await new Promise(requestAnimationFrame);
    await new Promise(done => setTimeout(done, 200));
    await new Promise(requestAnimationFrame);
}"""


class Tab:
    """One page in the browser.

    ``requests`` are the addresses that were asked for, also those that were refused. ``complaints`` are
    errors, warnings and dialogs.
    """

    def __init__(self, page):
        self.page = page
        self.requests, self.complaints = [], []
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dialog)

    def _dialog(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, address):
        """Load the page, until the plots that can be seen are drawn."""
        self.page.goto(address, timeout=TIMEOUT_MS)
        self.settle()

    def settle(self):
        """Wait until what the last action has changed is drawn: the page's own timers are shorter."""
        self.page.evaluate(SETTLED)

    def drawn(self):
        """What each plot shows; a plot that was not seen yet has no range."""
        return self.page.evaluate(DRAWN)

    def see_all(self):
        """Scroll through the page, so that every plot is drawn; what is folded is opened first."""
        self.page.evaluate(
            "document.querySelectorAll('details.extras').forEach(each => { each.open = true; })"
        )
        for plot in self.page.locator(".panel .plot").all():
            plot.scroll_into_view_if_needed()
            self.page.wait_for_function("plot => plot.layout !== undefined", arg=plot.element_handle())
        self.settle()

    def picture(self, name, whole=False):
        """Keep a screenshot."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)

    @property
    def visible_width(self):
        """The width of the document, and that of the window, in pixels."""
        return self.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )


@contextmanager
def chromium():
    """The browser, as long as the context lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser, width=1280, height=900, **options):
    """A page of its own, in a context of its own; options such as ``color_scheme`` are playwright's."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, timezone_id="Europe/Berlin", **options
    )
    try:
        yield Tab(context.new_page())
    finally:
        context.close()
