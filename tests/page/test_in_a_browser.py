"""The page in Debian's Chromium: what an operator sees and does with it, and that nothing leaves the page."""

import http.server
import threading
from contextlib import contextmanager

import pytest

from network_health.history import History
from network_health.reporting import printable
from tests.history import fabricated
from tests.history.fabricated import DAY_S, END, HOUR_S
from tests.page import browser as browsers
from tests.page.browser import needs_browser

pytestmark = [needs_browser, pytest.mark.slow]

#: What the buttons show, in seconds.
RANGES = {
    "Hour": HOUR_S,
    "6 h": 6 * HOUR_S,
    "Day": DAY_S,
    "Week": 7 * DAY_S,
    "Month": 31 * DAY_S,
    "Year": 366 * DAY_S,
    "All": 1000 * DAY_S,
}


@contextmanager
def opened(browser, made, **options):
    """The page in a tab; at the end nothing was asked for but the page, and nothing was complained about."""
    with browsers.tab(browser, **options) as tab:
        tab.open(made.address)
        yield tab
        tab.settle()
        assert (tab.requests, tab.complaints) == ([made.address], [])


def ranges(tab):
    """The different ranges of the plots on the screen; the others are drawn when they get there."""
    return {tuple(plot["range"]) for plot in tab.drawn() if plot["isSeen"]}


def length(tab):
    """The length of the one range that all plots on the screen have, in seconds."""
    ((begin, end),) = ranges(tab)
    return end - begin


def choose(tab, name):
    """Press a range button."""
    tab.page.get_by_role("button", name=name, exact=True).click()
    tab.settle()


def test_every_plot_is_drawn(browser, month):
    """Each plot has something to see in it, on the same time axis as the others."""
    with opened(browser, month) as tab:
        choose(tab, "Week")
        tab.see_all()
        drawn = tab.drawn()
        assert [plot["title"] for plot in drawn if not plot["ink"] or not plot["range"]] == []
        assert len(drawn) >= len(fabricated.Names().interfaces) + 4
        assert {round(end - begin) for begin, end in map(tuple, (plot["range"] for plot in drawn))} == {
            7 * DAY_S
        }
        assert tab.page.locator("#timeline .bar").count() > 10


def test_zooming_one_plot_zooms_all(browser, month):
    """A drag over one plot sets the range of all, also of those that are drawn later; Escape goes back."""
    with opened(browser, month) as tab:
        choose(tab, "Day")
        plot = tab.page.locator(".panel .plot").first
        plot.scroll_into_view_if_needed()
        tab.settle()
        before = length(tab)
        box = plot.bounding_box()
        middle = box["y"] + box["height"] / 2
        tab.page.mouse.move(box["x"] + box["width"] * 0.4, middle)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
        tab.page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
        tab.page.mouse.up()
        tab.settle()
        zoomed = ranges(tab)
        assert 0.1 * before < length(tab) < 0.4 * before
        tab.see_all()
        assert {tuple(plot["range"]) for plot in tab.drawn()} == zoomed
        tab.page.keyboard.press("Escape")
        tab.settle()
        assert length(tab) == pytest.approx(before)


def test_the_range_buttons(browser, month):
    """Each shows its span up to the last check, and is marked; All shows the whole history."""
    with opened(browser, month) as tab:
        for name, seconds in RANGES.items():
            choose(tab, name)
            tab.page.locator(".panel .plot").first.scroll_into_view_if_needed()
            tab.settle()
            ((begin, end),) = ranges(tab)
            whole = 30 * DAY_S + fabricated.INTERVAL_S
            assert (end - begin, end) == (pytest.approx(min(seconds, whole)), END + fabricated.INTERVAL_S), (
                name
            )
            pressed = tab.page.locator("[data-span][aria-pressed=true]").all_text_contents()
            assert pressed == [name if seconds < whole else "All"]


def test_a_click_on_an_alert_opens_its_culprits(browser, month):
    """On the timeline; the process that caused it can then be seen."""
    with opened(browser, month) as tab:
        choose(tab, "Day")
        tab.page.locator("#timeline .bar").first.click()
        tab.settle()
        alert = tab.page.locator("details.alert[open]")
        assert alert.count() == 1
        culprit = alert.locator("table").get_by_text("backup-agent").first
        assert culprit.is_visible()
        tab.picture("alert")


def focused(tab):
    """The focused element as text, and whether its focus can be seen."""
    return tab.page.evaluate(
        """() => {
            const element = document.activeElement, style = getComputedStyle(element);
            return [element.outerHTML.slice(0, 200), element.matches(":focus-visible")
                && (style.outlineStyle !== "none" || style.boxShadow !== "none")];
        }"""
    )


def test_the_keyboard_alone_opens_an_alert(browser, month):
    """Tab reaches every button, the timeline and the plots, with a visible focus; Enter opens an alert."""
    with opened(browser, month) as tab:
        choose(tab, "Day")
        tab.page.evaluate("document.activeElement.blur()")
        seen = []
        for _ in range(80):
            tab.page.keyboard.press("Tab")
            element, is_visible = focused(tab)
            seen.append(element)
            assert is_visible or element.startswith("<body"), element
            if "data-bar" in element:
                break
        else:
            raise AssertionError(seen)
        tab.page.keyboard.press("ArrowLeft")
        tab.page.keyboard.press("Enter")
        tab.settle()
        assert tab.page.locator("details.alert[open] table").first.is_visible()


def test_the_keyboard_alone_zooms(browser, month):
    """In a plot, plus and minus change the range of all plots."""
    with opened(browser, month) as tab:
        choose(tab, "Day")
        plot = tab.page.locator(".panel .plot").first
        plot.scroll_into_view_if_needed()
        tab.settle()
        before = length(tab)
        plot.focus()
        tab.page.keyboard.press("+")
        tab.settle()
        assert length(tab) < before
        tab.page.keyboard.press("-")
        tab.settle()
        assert length(tab) == pytest.approx(before, rel=0.05)


def test_the_table_behind_a_plot_has_the_kept_values(browser, month):
    """The newest row has the rates of the last check."""
    with History.open(month.history) as history:
        series = history.interfaces(END - HOUR_S, END + 1)["eth0"]
    sent, received = series["tx_mbps"].average[-1], series["rx_mbps"].average[-1]
    with opened(browser, month) as tab:
        choose(tab, "Hour")
        panel = tab.page.locator(".panel").filter(has=tab.page.locator("h3", has_text="eth0")).first
        panel.scroll_into_view_if_needed()
        panel.locator("details.values summary").click()
        tab.settle()
        rows = panel.locator("details.values table tbody tr").all()
        texts = [rows[0].inner_text().split("\t"), rows[-1].inner_text().split("\t")]
        assert len(rows) > 10
        values = [[float(cell.replace(",", "")) for cell in row[1:] if cell.strip()] for row in texts]
        assert any(
            any(abs(value - sent) < 1 for value in row) and any(abs(value - received) < 1 for value in row)
            for row in values
        ), (texts, sent, received)


def test_light_and_dark(browser, month):
    """The page follows the system; the switch overrides it."""
    backgrounds = {}
    for scheme in ("light", "dark"):
        with opened(browser, month, color_scheme=scheme) as tab:
            choose(tab, "Week")
            backgrounds[scheme] = background(tab)
            tab.picture(scheme)
            tab.see_all()
            tab.picture(f"{scheme}-whole", whole=True)
    assert brightness(backgrounds["dark"]) < 60 < 200 < brightness(backgrounds["light"])
    with opened(browser, month, color_scheme="light") as tab:
        reached = set()
        for _ in range(3):
            tab.page.locator("#theme").click()
            tab.settle()
            reached.add(background(tab))
    assert reached == set(backgrounds.values())


def background(tab):
    return tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def brightness(colour):
    """The mean of red, green and blue of ``rgb(1, 2, 3)``."""
    parts = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(parts) / 3


def test_on_a_phone(browser, month):
    """At a width of 360 pixels nothing is wider than the screen, and an alert can be opened by a touch."""
    with opened(browser, month, width=360, height=740, has_touch=True, is_mobile=True) as tab:
        tab.page.locator("[data-span]", has_text="Day").first.tap()
        tab.settle()
        tab.picture("phone")
        tab.see_all()
        tab.picture("phone-whole", whole=True)
        document, window = tab.visible_width
        assert (window, document) == (360, 360)
        tab.page.locator("details.alert:visible summary").first.tap()
        assert tab.page.locator("details.alert[open]").count() == 1


def test_hostile_names_do_no_harm(browser, hostile):
    """Markup, quotes, right-to-left marks and 10,000 characters are shown as text, and break no layout."""
    for width in (1280, 360):
        with opened(browser, hostile, width=width) as tab:
            tab.see_all()
            for summary in tab.page.locator("details summary").all():
                if summary.is_visible():
                    summary.click()
            tab.settle()
            tab.picture(f"hostile-{width}", whole=True)
            assert tab.page.title() == f"Network health: {hostile.history}"
            culprit = tab.page.locator("details.alert[open] table").get_by_text(
                fabricated.HOSTILE.processes[-1]
            )
            assert culprit.first.is_visible()
            assert tab.page.locator("img, .panel script, .alert script, main b, textarea").count() == 0
            titles = tab.page.locator(".panel h3").all_text_contents()
            for name in fabricated.HOSTILE.interfaces:
                assert any(printable(name) in title for title in titles), (name, titles)
            document, window = tab.visible_width
            assert document == window == width


def test_nothing_leaves_the_page_even_if_a_script_of_it_tries(browser, month):
    """The page's own policy refuses images, scripts, styles, frames, fetches and forms of another address."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        with browsers.tab(browser) as tab:
            tab.open(month.address)
            tab.page.evaluate(
                """async where => {
                    const made = (tag, values) => Object.assign(document.createElement(tag), values);
                    const add = (tag, values) => document.body.append(made(tag, values));
                    add("img", {src: where + "img"});
                    add("script", {src: where + "script"});
                    add("script", {textContent: "document.title = 'harmed'"});
                    add("link", {rel: "stylesheet", href: where + "style"});
                    add("iframe", {src: where + "frame"});
                    navigator.sendBeacon(where + "beacon", "x");
                    await fetch(where + "fetch", {mode: "no-cors"}).catch(() => {});
                    const form = made("form", {action: where + "form", method: "post"});
                    document.body.append(form);
                    form.submit();
                }""",
                f"http://127.0.0.1:{sink.server_port}/",
            )
            tab.page.wait_for_timeout(1000)
            assert tab.page.title() != "harmed"
            assert tab.page.url == month.address
        sink.shutdown()
    assert asked == []
