"""docs/cli.md and --help agree with the parser."""

import contextlib
import re
import shlex

import pytest

from network_health.cli.main import build_parser
from network_health.cli.parser import commands
from network_health.cli.reference import reference
from tests.cli.command import at_a_terminal, run
from tests.tree import DOCS

PAGE = DOCS / "cli.md"
COMMANDS = commands(build_parser())
EXAMPLES = [
    (name, line)
    for name, parser in COMMANDS.items()
    for line in re.findall(r"^  (.*network-health .*)$", parser.epilog or "", re.MULTILINE)
]


def test_the_page_is_current():
    """To generate it: ``python -m network_health.cli.reference > docs/cli.md``."""
    assert PAGE.read_text() == reference()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_the_usage(name):
    """The page shows how to call each command."""
    assert f"\n```\nnetwork-health {name}" in PAGE.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(name):
    """The help of every command has examples, at any width of the terminal."""
    done = run(name, "--help")
    assert done.returncode == 0
    assert "examples:\n  " in done.stdout
    narrow = at_a_terminal(name, "--help", COLUMNS="30")
    assert narrow[0] == 0


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_examples_are_valid(name, line):
    """The parser accepts each example."""
    words = shlex.split(line.partition("  #")[0].replace("source <(", "").replace(")", ""))
    words = words[words.index("network-health") + 1 :]
    with contextlib.suppress(ValueError):
        del words[min(words.index(sign) for sign in ("|", ">") if sign in words) :]
    options, unknown = build_parser().parse_known_args(words)
    assert words[0] == name
    assert unknown == []
    assert callable(options.run)


def test_an_invalid_command_line():
    """One sentence and status 2, without the usage."""
    for words in (("install", "--nonsense"), ("nonsense",), (), ("doctor", "a", "b")):
        done = run(*words)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert done.stderr.endswith("--help\n")
