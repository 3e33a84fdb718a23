"""Generates docs/cli.md from the parser: ``python -m network_health.cli.reference > docs/cli.md``.

Guarantees: every version of Python generates the same text.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby

from network_health.cli.main import build_parser
from network_health.cli.parser import arguments, commands, syntax


def reference() -> str:
    """The page as Markdown."""
    parser = build_parser()
    lines = ["# The command `network-health`", "", parser.description or "", ""]
    lines += ["This page is generated: `python -m network_health.cli.reference > docs/cli.md`.", ""]
    for name, command in commands(parser).items():
        lines += _command(name, command)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f"## network-health {name}", "", parser.description or "", "")
    yield from ("```", parser.usage or "", "```", "")
    for _, group in groupby(arguments(parser), key=lambda argument: argument[0] == "settings"):
        yield from ("| argument | meaning |", "|---|---|")
        for _, action in group:
            about = (action.help or "").replace("%%", "%")
            yield f"| `{_escaped(syntax(action))}` | {_escaped(about)} |"
        yield ""
    if parser.epilog:
        yield from ("```", parser.epilog, "```", "")


def _escaped(text: str) -> str:
    """A text as a table cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
