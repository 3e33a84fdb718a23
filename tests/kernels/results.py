"""What the tests said on one kernel."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.packages import Kernel


@dataclass(frozen=True)
class Results:
    """The tests that ran on one kernel.

    Attributes:
        failed: the ids of those that failed.
        skipped: why tests were skipped, and how many for that reason.
    """

    kernel: Kernel
    passed: int
    failed: tuple[str, ...]
    skipped: Counter[str]
    seconds: float


def read_results(kernel: Kernel, path: Path) -> Results:
    """Read the JUnit file of a run.

    Raises:
        RuntimeError: the machine ended before the tests did.
    """
    try:
        suite = ElementTree.fromstring(path.read_text()).find("testsuite")
    except ElementTree.ParseError as error:
        raise RuntimeError(
            f"{kernel.release}: no results ({error}); see {path.with_name('console')}"
        ) from error
    cases = suite.findall("testcase")
    failed = [
        _id(case) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = [case.find("skipped").get("message") for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failed) - len(skipped)
    return Results(kernel, passed, tuple(failed), Counter(skipped), float(suite.get("time")))


def _id(case: ElementTree.Element) -> str:
    return f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"
