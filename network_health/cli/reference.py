"""docs/cli.md, made from the parser: ``python -m network_health.cli.reference > docs/cli.md``.

Law: every version of Python makes the same text.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby

from network_health.cli.main import build_parser
from network_health.cli.parser import arguments, commands, spelled


def reference() -> str:
    """The whole page, in Markdown."""
    parser = build_parser()
    lines = ["# The command `network-health`", "", parser.description or "", ""]
    lines += ["This page is made from the command's parser: `python -m network_health.cli.reference`.", ""]
    for name, command in commands(parser).items():
        lines += _command(name, command)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f"## network-health {name}", "", parser.description or "", "")
    yield from ("```", parser.usage or "", "```", "")
    for _, group in groupby(arguments(parser), key=lambda found: found[0] == "settings"):
        yield from ("| argument | meaning |", "|---|---|")
        for _, action in group:
            about = (action.help or "").replace("%%", "%")
            yield f"| `{_escaped(spelled(action))}` | {_escaped(about)} |"
        yield ""
    if parser.epilog:
        yield from ("```", parser.epilog, "```", "")


def _escaped(text: str) -> str:
    """As the cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
