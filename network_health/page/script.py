"""Reads the page's own style and script, and the JavaScript library that draws the plots.

plotly is read as a file and not imported: importing it takes a second.
"""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

#: In this order they are one script.
_SCRIPTS = ("data.js", "clock.js", "plots.js", "tables.js", "alerts.js", "main.js")
_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


class MissingLibrary(Exception):
    """jinja2 or plotly is not installed; the text says what to install."""


def plotly_script() -> str:
    """The text of plotly's own JavaScript.

    Raises:
        MissingLibrary: it is not installed.
    """
    spec = find_spec("plotly")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "package_data", "plotly.min.js")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise MissingLibrary("the page needs plotly: install matrixswarm-network-health[page]")


def style_ids(script: str) -> list[str]:
    """The ids of elements that the library would fill with styles if they did not exist.

    They belong to maps, which the page does not have, and the page's policy refuses them.
    """
    return sorted(set(_STYLE_ID.findall(script)))


def own_script() -> str:
    """The page's own script."""
    return "\n".join(_read(name) for name in _SCRIPTS)


def own_style() -> str:
    """The page's own style sheet."""
    return _read("page.css")


def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
