"""Who may run which test and where, and what every test may ask for."""

import os
import shlex
import signal
import sys
import time

import hypothesis
import pytest

from tests import isolated, swarm_logs
from tests.examples import examples
from tests.netns import Namespace
from tests.sharing import LongestFirst, seconds_of

# An example may take as long as it does on a busy host.
hypothesis.settings.register_profile("any host", deadline=None, max_examples=examples(100))
hypothesis.settings.load_profile("any host")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """As root, run the tests on a host of their own; with pytest-xdist each worker gets one instead."""
    option = config.option
    if not may_isolate() or option.help or option.version or getattr(option, "numprocesses", None):
        return
    config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
    os.execv(sys.executable, [*isolated.COMMAND, "-m", "pytest", *config.invocation_params.args])


def pytest_configure(config):
    """Commands of tests heed signals, even if this runs in the background of a shell, which ignores some."""
    if getattr(config.option, "numprocesses", None):
        return
    for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, action)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs):
    """As root, give each worker a host of its own."""
    if may_isolate():
        for spec in specs:
            spec.python = shlex.join(isolated.COMMAND)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Which worker runs which tests."""
    return LongestFirst(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """What fails with a swarm shows that swarm's logs."""
    report = yield
    if report.failed and item.get_closest_marker("swarm"):
        report.sections += swarm_logs.sections()
    return report


def pytest_runtest_setup():
    """Only swarms that the test itself ends concern it."""
    swarm_logs.forget()


def may_isolate():
    """Whether this process is root and not isolated yet."""
    return os.geteuid() == 0 and isolated.VARIABLE not in os.environ


def pytest_collection_modifyitems(items):
    """Tests that need root are skipped elsewhere, but never where CI must see them run."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: -seconds_of(item.nodeid))
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


@pytest.fixture
def central_europe(monkeypatch):
    """A host in a time zone whose clocks are set back on the last Sunday of October, 03:00 -> 02:00."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
