"""Histories, their pages and a browser, made once for each file of tests."""

import pytest

from tests.history import fabricated
from tests.page.browser import chromium
from tests.page.pages import Made


@pytest.fixture(scope="module")
def browser():
    """A browser for all tests of a file."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """The page of 30 days."""
    return Made(tmp_path_factory.mktemp("month"), 30 * fabricated.DAY_S)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The page of six hours with an alert, and with names that try to do harm."""
    return Made(
        tmp_path_factory.mktemp("hostile"), 6 * fabricated.HOUR_S, fabricated.Host(fabricated.HOSTILE)
    )
