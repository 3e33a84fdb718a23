"""Any text becomes one printable line of bounded length."""

import json

import pytest
from matrixswarm.core.class_lib.logging.logger import Logger

from network_health.swarm.log_line import MAX_CHARS, log_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("eth0 outbound 251.3 Mbps > 250 Mbps", "eth0 outbound 251.3 Mbps > 250 Mbps"),
        ("größer ✅", "größer ✅"),
        ("a\nb\x1b[2J\r", "a\\nb\\x1b[2J\\r"),
        ("role \udc80", "role \\udc80"),
        ("x" * MAX_CHARS, "x" * MAX_CHARS),
        ("x" * (MAX_CHARS + 7), "x" * MAX_CHARS + "… (7 more characters)"),
        ("\n" * MAX_CHARS, "\\n" * (MAX_CHARS // 2)),
    ],
    ids=["plain", "printable", "control", "surrogate", "longest", "cut", "escapes cut"],
)
def test_a_text_becomes_a_line(text, line):
    """What is printable stays; the rest is escaped, and a long text is cut."""
    assert log_line(text) == line


def test_the_framework_writes_every_line(tmp_path):
    """It loses a line with a lone surrogate, but not what `log_line` makes of it."""
    logger = Logger(str(tmp_path))
    logger.log("role \udc80", print_to_console=False)
    logger.log(log_line("role \udc80"), print_to_console=False)
    lines = (tmp_path / "logs" / "agent.log").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["role \\udc80"]
