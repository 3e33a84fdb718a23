"""Shows a history to the operator, as text and as a page.

In: a `History` and a range of time. Out: lines for a terminal, JSON types, or the HTML of a page,
which can be served.
"""

from network_health.page.html import page_html
from network_health.page.overview import Overview, overview
from network_health.page.plain import as_plain
from network_health.page.script import MissingLibrary
from network_health.page.server import PageServer
from network_health.page.style import Style
from network_health.page.text import as_text

__all__ = [
    "MissingLibrary",
    "Overview",
    "PageServer",
    "Style",
    "as_plain",
    "as_text",
    "overview",
    "page_html",
]
