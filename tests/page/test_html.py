"""The file of a page: what is in it, what it allows, and what it does not have."""

import base64
import gzip
import hashlib
import json
import re
import sys
import time
from html.parser import HTMLParser

import pytest

from network_health.history import History
from network_health.history.store import Store
from network_health.page import MissingLibrary, page_html
from tests.history import fabricated
from tests.history.fabricated import DAY_S, END, HOUR_S


class Document(HTMLParser):
    """The elements of a page: ``tags`` with their attributes, and the text of scripts, styles and titles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.is_open = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.texts.append("")
        self.is_open = True

    def handle_endtag(self, tag):
        self.is_open = False

    def handle_data(self, data):
        if self.is_open:
            self.texts[-1] += data

    def all(self, tag):
        """The elements of a kind: (attributes, text up to the next tag)."""
        return [(a, text) for (name, a), text in zip(self.tags, self.texts, strict=True) if name == tag]

    def unpacked(self, element_id):
        """The text that is in the page in a compressed form."""
        (packed,) = (text for attributes, text in self.all("script") if attributes.get("id") == element_id)
        return gzip.decompress(base64.b64decode(packed)).decode()

    @property
    def policy(self):
        """The directives of the Content-Security-Policy."""
        (content,) = (
            a["content"] for a, _ in self.all("meta") if a.get("http-equiv") == "Content-Security-Policy"
        )
        return dict(directive.strip().split(" ", 1) for directive in content.split(";"))


def page(folder, length_s, host=None, since=0.0, until=END + 1):
    """The page of a history of that length."""
    path = fabricated.record(folder / "history.sqlite", length_s, host)
    with History.open(path) as history:
        document = Document(page_html(history, since, until))
    document.history = path
    return document


def numbers(text):
    """The numbers of a curve."""
    return [float(part) for part in text.split(",")]


def hashed(text):
    """The hash of a script or style, as a policy has it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.fixture(scope="module")
def half_a_day(tmp_path_factory):
    """The page of twelve hours, with alerts."""
    return page(tmp_path_factory.mktemp("half"), 12 * HOUR_S)


def test_the_policy_allows_the_pages_own_scripts_and_styles_alone(half_a_day):
    """By the hashes of what is in the page; nothing may be loaded, and no form be sent."""
    script = half_a_day.all("script")[-1][1]
    ((_, style),) = half_a_day.all("style")
    assert half_a_day.policy == {
        "default-src": "'none'",
        "script-src": f"{hashed(half_a_day.unpacked('library'))} {hashed(script)}",
        "style-src": f"{hashed(style)} {hashed('')}",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_in_the_page_refers_to_another_place(half_a_day):
    """Links lead into the page; there is no style, event handler or other address in an attribute."""
    attributes = [(name, value) for _, each in half_a_day.tags for name, value in each.items()]
    assert {value for name, value in attributes if name in ("src", "href")} == {"data:,", "#content"}
    assert not [name for name, _ in attributes if name == "style" or name.startswith("on")]
    own = "".join(text for attributes, text in half_a_day.all("script") if "id" not in attributes)
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|innerHTML|eval\(|import\(", own)


def test_the_plots_have_the_values_that_are_kept(half_a_day):
    """The finest resolution of an interface is what the history has of the last hours."""
    data = json.loads(half_a_day.unpacked("data"))
    (panel,) = (each for each in data["panels"] if each["title"] == "eth0")
    with History.open(half_a_day.history) as history:
        series = history.interfaces(END - 12 * HOUR_S + 30, END + 30)["eth0"]
    level = panel["levels"][0]
    times = numbers(data["times"][level["t"]])
    assert [sum(times[: n + 1]) for n in (0, 1, len(times) - 1)] == [
        round(series["tx_mbps"].at[n]) for n in (0, 1, -1)
    ]
    assert numbers(level["c"][0][0]) == [
        pytest.approx(value, rel=1e-4) for value in series["tx_mbps"].average
    ]
    assert numbers(level["c"][1][1]) == [
        pytest.approx(value, rel=1e-4) for value in series["rx_peak_mbps"].highest
    ]
    assert (panel["labels"], [limit["label"] for limit in panel["limits"]]) == (["Out", "In"], ["Limit"])
    assert [value for _, value in panel["limits"][0]["steps"]] == [500]


@pytest.mark.slow
def test_limits_are_those_of_their_time(tmp_path):
    """The connection limit was raised four days before the end."""
    data = json.loads(page(tmp_path, 4.2 * DAY_S).unpacked("data"))
    (panel,) = (each for each in data["panels"] if each["title"] == "Connections by state")
    first, second = panel["limits"][0]["steps"]
    assert (first[1], second[1]) == (1500, 2000)
    assert second[0] == pytest.approx(END - 4 * DAY_S, abs=HOUR_S)


def test_each_alert_is_in_the_page_with_its_sentence(half_a_day):
    """In text that also a browser without JavaScript shows."""
    data = json.loads(half_a_day.unpacked("data"))
    shown = [attributes["id"] for attributes, _ in half_a_day.all("details") if "id" in attributes]
    assert shown == [f"alert-{number}" for number in reversed(range(len(data["alerts"])))]
    sentences = [text for attributes, text in half_a_day.all("bdi") if attributes.get("class") == "sentence"]
    assert sentences == [alert[5] for alert in reversed(data["alerts"])]
    assert any("backup-agent[4711]" in sentence for sentence in sentences)


def test_only_the_range_is_in_the_page(tmp_path):
    """Of six hours, the two in the middle."""
    data = json.loads(
        page(tmp_path, 6 * HOUR_S, since=END - 4 * HOUR_S, until=END - 2 * HOUR_S).unpacked("data")
    )
    assert (data["first"], data["last"]) == (END - 4 * HOUR_S, END - 2 * HOUR_S)
    assert [len(panel["levels"]) for panel in data["panels"]] == [1] * len(data["panels"])


def test_names_are_text(tmp_path, half_a_day):
    """Names with markup add no element, and marks of direction are not in the page."""
    hostile = page(tmp_path, 2 * HOUR_S, fabricated.Host(fabricated.HOSTILE))
    assert len(hostile.all("script")) == len(half_a_day.all("script"))
    assert not hostile.all("img")
    titles = [text for _, text in hostile.all("bdi")]
    assert '"><img src=x onerror="document.title=\'harmed\'">' in titles
    assert "?gnp.exe?" in titles
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200f\u061c]", "".join(hostile.texts))


def test_many_interfaces_are_bounded(tmp_path):
    """Eight are drawn at once, and fifty in all."""
    many = page(tmp_path, HOUR_S / 2, fabricated.Host(more_interfaces=60))
    panels = json.loads(many.unpacked("data"))["panels"]
    assert len({panel["subject"] for panel in panels} - {""}) == 50
    summaries = [text.strip() for _, text in many.all("summary")]
    assert "42 more interfaces, with less traffic" in summaries


@pytest.mark.parametrize("since", [END + DAY_S, 0.0])
def test_a_range_without_checks_says_so(tmp_path, since):
    """One sentence with the range that is kept; no plot and no script."""
    empty = page(tmp_path, HOUR_S, since=since, until=since + 60)
    assert (empty.all("script"), empty.all("section")) == ([], [])
    kept = " to ".join(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (END - HOUR_S, END))
    assert [text for _, text in empty.all("p")] == [
        f"No check is kept in this range: the history has checks from {kept}."
    ]


def test_one_check_is_a_page(tmp_path):
    """Every plot has one value."""
    data = json.loads(page(tmp_path, 0).unpacked("data"))
    assert data["first"] == data["last"] == END
    assert {data["times"][level["t"]] for p in data["panels"] for level in p["levels"] if level} == {
        str(int(END))
    }


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_without_a_package_of_the_extra_the_page_says_what_to_install(tmp_path, monkeypatch, package):
    """One sentence with the name of the extra."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingLibrary, match=rf"^the page needs {package}: install .*\[page\]$"):
        page(tmp_path, 0)


def test_a_clock_that_was_set_back_is_named(tmp_path):
    """With both times; the values before and after it are in the page."""
    path = tmp_path / "history.sqlite"
    host, store = fabricated.Host(), Store(path, 2**26)
    try:
        for at in (END, END + 30, END + 60, END - 3570, END - 3540):
            store.add(host.report(at), fabricated.SETTINGS)
    finally:
        store.close()
    with History.open(path) as history:
        document = Document(page_html(history, 0, END + 3600))
    notes = [attributes["data-at"] for attributes, _ in document.all("time") if "datetime" not in attributes]
    assert notes == [str(END + 60), str(END - 3570)]
    data = json.loads(document.unpacked("data"))
    (panel,) = (each for each in data["panels"] if each["title"] == "eth0")
    times = numbers(data["times"][panel["levels"][0]["t"]])
    assert [sum(times[: n + 1]) - END for n in range(len(times))] == [-3570, -3540, -3510, 0, 30, 60]
