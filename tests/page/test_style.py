"""The colours of the page, by the contrasts of WCAG 2.2."""

import re

import pytest

from tests.tree import ROOT

STYLE = (ROOT / "network_health/page/templates/page.css").read_text()
#: Light, dark as the system says, dark as the switch says.
THEMES = [
    dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in re.split(r"\n *color-scheme: ", STYLE)[1:]
]
LIGHT, SYSTEM_DARK, DARK = THEMES


def luminance(colour):
    """The relative luminance of a colour, from 0 to 1."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """The contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_there_is_one_dark_theme():
    """The same colours, whether the system asks for it or the switch."""
    assert SYSTEM_DARK == DARK
    assert DARK.keys() == LIGHT.keys()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(theme):
    """4.5 to 1 on each ground that text is on."""
    names = ("text", "muted", "accent", "warning", "critical")
    found = {(n, on): contrast(theme[n], theme[on]) for n in names for on in ("card", "page")}
    assert {pair: value for pair, value in found.items() if value < 4.5} == {}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_curves_and_bars_can_be_seen(theme):
    """3 to 1 on the ground of a plot and of the timeline."""
    curves = [name for name in theme if name.startswith("curve-")]
    pairs = [(name, "card") for name in (*curves, "other", "limit")] + [
        ("warning", "grid"),
        ("critical", "grid"),
    ]
    assert len(curves) == 12
    assert [pair for pair in pairs if contrast(theme[pair[0]], theme[pair[1]]) < 3] == []
