"""A plugin of pytest that shows a failure when it happens: a machine may end before the tests do."""

import os


def pytest_runtest_logreport(report):
    """Print the error of a failed test, in the process that reports."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} ({report.when})\n{report.longreprtext}", flush=True)
