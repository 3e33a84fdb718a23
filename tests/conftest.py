"""Who may run which test, and what every test may ask for."""

import os

import pytest

from tests.netns import Namespace


def pytest_collection_modifyitems(items):
    """Tests that need root are skipped elsewhere, but never where CI must see them run."""
    if os.geteuid() == 0 or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("root") or item.get_closest_marker("swarm"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def namespace():
    """Make network namespaces that are gone when the test is over."""
    made = []

    def make():
        made.append(Namespace())
        return made[-1]

    yield make
    for each in made:
        each.close()
