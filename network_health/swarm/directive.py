"""Reads a matrix directive without running it.

A directive file is JSON, or Python that the framework runs at a boot. Of a Python file, the literals in
``matrix_directive`` are read; every computed value is replaced by an `Unread`.

Guarantees: no code of a file is run. Whatever a file contains, the result is a directive or a `SwarmError`.
A key that is given twice is an error, as only the author knows which value is the right one.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network_health.swarm.encrypted_directive import decrypted, is_encrypted, is_envelope
from network_health.swarm.errors import SwarmError, parse_failure
from network_health.swarm.python_source import parse_source
from network_health.swarm.spawn_records import BLUEPRINT
from network_health.swarm.untrusted_file import read_bytes

AGENT = "network_health"
_NAME = "matrix_directive"
#: A file that is not larger than `python_source.MAX_BYTES` has fewer literals. With names that are used twice
#: in the values of other names, and so on, a few lines would have billions.
_MOST_VALUES = 1 << 18

Directive = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """A value that is known only when the file is run: its line, and its source text on one line."""

    line: int
    source: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.source}"


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    ``agent`` is the name of the agent's source, without the blueprint. ``config`` is ``{}`` if there is none.
    ``src_embed`` is the agent's source in Base64 and ``hash_bang`` its SHA-256, ``None`` if there is none.
    """

    universal_id: str
    agent: str
    config: object
    src_embed: object = None
    hash_bang: object = None


def read_directive(path: Path, key: str = "") -> Directive:
    """The directive in a ``.py`` or a JSON file; an encrypted one needs its ``key``.

    Raises:
        SwarmError: the file cannot be read or is not a directive; the message says why.
    """
    data = read_bytes(path)
    if path.suffix == ".py":
        return _parse_python(path, data)
    directive = parse_json(path, decrypted(path, data, key) if key and is_encrypted(data) else data)
    if not is_directive(directive):
        raise SwarmError(f"{path} is not a directive: it has neither universal_id nor children")
    return dict(directive)


def parse_json(path: Path, data: bytes) -> Any:  # noqa: ANN401 - whatever the file holds
    """The value of the JSON in ``data``; ``path`` is named in errors.

    Raises:
        SwarmError: it is not JSON, or an encrypted directive.
    """
    if not data.strip():
        raise SwarmError(f"{path} is empty")
    try:
        content = json.loads(data, object_pairs_hook=_unique_keys)
    except _DuplicateKey as error:
        raise SwarmError(f"{path}: {error} is given twice") from error
    except json.JSONDecodeError as error:
        hint = "" if path.suffix == ".json" else " (a TOML file must end in .toml, a directive in .py)"
        raise SwarmError(f"{path} is not JSON: {error}{hint}") from error
    except (ValueError, RecursionError) as error:
        raise SwarmError(f"{path} is not JSON that can be read: {parse_failure(error)}") from error
    if is_envelope(content):
        raise SwarmError(
            f"{path} is encrypted: name the directive that it was made from, or run `network-health doctor` "
            "with its key"
        )
    return content


class _DuplicateKey(ValueError):
    """A key is given twice."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise _DuplicateKey(key)
    return dict(pairs)


def is_directive(data: object) -> bool:
    """Whether it is a tree of nodes and not a block of settings: no setting has one of these names."""
    return isinstance(data, Mapping) and ("universal_id" in data or "children" in data)


def nodes(directive: Mapping[Any, Any]) -> Iterator[Node]:
    """Every node, parents first; what has no ``universal_id`` is ignored, as at a boot."""
    waiting: list[object] = [directive]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        uid = node.get("universal_id")
        if uid:
            agent = str(node.get("name")).split(BLUEPRINT)[0]
            config = node.get("config", {})
            yield Node(str(uid), agent, config, node.get("src_embed"), node.get("hash_bang"))
        children = node.get("children")
        waiting += reversed(children) if isinstance(children, list) else ()


def unread_parts(value: object) -> list[Unread]:
    """Every `Unread` in a value, in order."""
    found, waiting = [], [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Unread):
            found.append(part)
        elif isinstance(part, Mapping):
            waiting += reversed([*part.keys(), *part.values()])
        elif isinstance(part, list | tuple):
            waiting += reversed(part)
    return found


def _parse_python(path: Path, data: bytes) -> Directive:
    tree = parse_source(path, data)
    try:
        directive = _Reader(tree).value_of(_NAME)
    except _DuplicateKey as error:
        raise SwarmError(f"{path}: {error}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SwarmError(f"{path} is not Python that can be read: {parse_failure(error)}") from error
    if isinstance(directive, Unread):
        raise SwarmError(f"{path}: {_NAME} cannot be read without running the file: {directive}")
    if not isinstance(directive, dict):
        raise SwarmError(f"{path} has no {_NAME} = {{...}} at its top level")
    return directive


class _Reader:
    """Evaluates literals of a module, and names that are assigned a literal once and never changed."""

    def __init__(self, module: ast.Module) -> None:
        self._assigned = {name: value for statement in module.body for name, value in _assignments(statement)}
        self._stores: Counter[str] = Counter()
        self._uses: dict[str, ast.Name] = {}
        self._evaluating: set[str] = set()
        self._values_left = _MOST_VALUES
        items = {id(item) for node in ast.walk(module) for item in _children(node)}
        for node in ast.walk(module):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                self._stores[node.id] += 1
            elif isinstance(node, ast.Name) and id(node) not in items:
                self._uses.setdefault(node.id, node)

    def value_of(self, name: str) -> Any:  # noqa: ANN401 - any literal, or Unread
        """The value of a name; ``None`` if it is not assigned at the top level."""
        value, use = self._assigned.get(name), self._uses.get(name)
        if value is None:
            return None
        if self._stores[name] > 1:
            return Unread(value.lineno, f"{name} is assigned more than once")
        if use is not None and not isinstance(value, ast.Constant):  # the code may change it
            return Unread(use.lineno, f"{name} is used by code")
        self._evaluating.add(name)
        result = self._value(value)
        self._evaluating.discard(name)
        return result

    def _value(self, node: ast.expr) -> Any:  # noqa: ANN401 - any literal, or Unread
        self._values_left -= 1
        if self._values_left < 0:
            raise ValueError(f"its names stand for more than {_MOST_VALUES} values")
        if isinstance(node, ast.Dict):
            return self._dict(node)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return [self._value(item) for item in node.elts]
        if isinstance(node, ast.Name) and node.id in self._assigned and node.id not in self._evaluating:
            return self.value_of(node.id)
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            return _unread(node)

    def _dict(self, node: ast.Dict) -> Any:  # noqa: ANN401 - a dict, or Unread
        result = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = self._value(key) if key is not None else None
            if key is None or isinstance(name, Unread | list | dict):  # **another, or a computed key
                return _unread(key or value)
            if name in result:
                raise _DuplicateKey(f"{name!r} is given twice, the second time in line {key.lineno}")
            result[name] = self._value(value)
        return result


def _assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, statement.value


def _children(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Dict):
        return [key for key in node.keys if key is not None] + node.values
    return node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []


def _unread(node: ast.expr) -> Unread:
    try:
        source = " ".join(ast.unparse(node).split())
    except (RecursionError, ValueError):
        source = type(node).__name__
    return Unread(node.lineno, source if len(source) <= 60 else source[:57] + "...")
