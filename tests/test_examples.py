"""The examples of the documentation do what the pages say: each runs in a process of its own.

Lines for a method of an agent need a swarm: tests/real_swarm has one. Here they only have to be Python.
"""

import re
import subprocess
import sys
from dataclasses import fields

import pytest

from network_health import Report
from tests.tree import ROOT

README, LIBRARY = ROOT / "README.md", ROOT / "docs" / "library.md"
PAGES = (README, *sorted(ROOT.glob("docs/*.md")))
EXAMPLE = re.compile(
    r"^```python\n(.*?)^```\n(?:\nIt prints:\n\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
TIMEOUT_S = 60

#: Sends over lo as long as an example runs.
TRAFFIC = """\
import socket, threading, time
def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            sender.sendto(bytes(10_000), ("127.0.0.1", 9))
            time.sleep(0.002)
threading.Thread(target=send, daemon=True).start()
"""


def examples():
    """Each example with what it prints, or ``None`` if the page does not say it."""
    for page in PAGES:
        text = page.read_text()
        for found in EXAMPLE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[1], found[2], id=f"{page.name}-{line}")


def run(code):
    """What the code prints, with waits of a moment and a warning for what is never closed."""
    hurried = re.sub(r"\b(checks|sleep)\(\d+\)", r"\1(0.15)", code)
    words = [sys.executable, "-W", "error::ResourceWarning", "-c", hurried]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(("code", "prints"), list(examples()))
def test_an_example_runs(code, prints):
    """Without an error or a warning; if the page says what it prints, it prints this."""
    if "self." in code:
        compile(code, "an example", "exec")
        return
    printed = run(code)
    assert prints is None or printed == prints


def test_the_readme_sees_a_rate():
    """What lo carries while the example runs is in the last report: it does not check at once."""
    (code,) = (found[1] for found in EXAMPLE.finditer(README.read_text()))
    last = "print('rates:', *(each.tx_mbps > 1 for each in report.interfaces if each.link.name == 'lo'))\n"
    assert run(TRAFFIC + code + last).splitlines()[-1] == "rates: True"


def test_the_examples_have_types(tmp_path):
    """mypy accepts them all in strict mode; it knows the library's types, for it refuses a wrong one."""
    codes = [found[1] for page in (README, LIBRARY) for found in EXAMPLE.finditer(page.read_text())]
    wrong = "from network_health import Monitor\nMonitor({})\n"
    for number, code in enumerate((wrong, *codes)):
        (tmp_path / f"example{number}.py").write_text(code)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=ROOT)
    (error,) = done.stdout.splitlines()
    assert 'example0.py:2: error: Argument 1 to "Monitor" has incompatible type' in error


def test_every_attribute_of_a_report_is_on_the_page():
    """With its type."""
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", LIBRARY.read_text(), re.MULTILINE)
    assert [(name, kind.replace("\\|", "|")) for name, kind in rows] == [
        (each.name, each.type) for each in fields(Report)
    ]
