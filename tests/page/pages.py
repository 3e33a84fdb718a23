"""Histories and the pages that the command makes of them."""

from functools import cached_property

from tests.cli.command import run
from tests.history import fabricated


class Made:
    """A history, and its page."""

    def __init__(self, folder, length_s, host=None):
        self.folder = folder
        self.history = fabricated.record(folder / "history.sqlite", length_s, host)

    @cached_property
    def page(self):
        """The file that the command writes."""
        path = self.folder / "page.html"
        done = run("page", self.history, *fabricated.RANGE, "--output", path)
        assert (done.returncode, done.stderr) == (0, "")
        return path

    @property
    def address(self):
        """Where a browser finds it."""
        return self.page.as_uri()
