"""Parses Python source that another user may have written, without running it.

Guarantees: at most `MAX_BYTES` are parsed, which takes some seconds and about 150 MiB in the worst case. If
Python cannot parse a source, whatever the reason, the result is a `SwarmError`.
"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from network_health.swarm.errors import SwarmError, parse_failure

#: Four times the largest agent of the framework.
MAX_BYTES = 256 << 10


def parse_source(path: Path, data: bytes) -> ast.Module:
    """The syntax tree of ``data``; ``path`` is named in errors.

    Raises:
        SwarmError: it is too large, not Python, or nested too deeply.
    """
    if len(data) > MAX_BYTES:
        raise SwarmError(f"{path} is larger than {MAX_BYTES >> 10} KiB, the limit for Python")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes in strings
            return ast.parse(data)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise SwarmError(f"{path} is not Python: {error.msg}{where}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SwarmError(f"{path} is not Python that can be read: {parse_failure(error)}") from error


def functions(path: Path, data: bytes) -> set[str]:
    """The names of all functions and methods in the source ``data``.

    Raises:
        SwarmError: the source cannot be parsed.
    """
    tree = parse_source(path, data)
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
