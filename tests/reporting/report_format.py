"""docs/report-format.md as data, and the fields that a report really has, in the same notation."""

import re
from typing import NamedTuple

from tests.tree import DOCS

PAGE = DOCS / "report-format.md"

#: Objects whose keys are data.
_OPEN = {
    "metrics.by_status": "<state>",
    "metrics.check.collectors": "<collector>",
    "metrics.check.readers": "<collector>",
    "metrics.culprits.packet_errors[].kinds": "<kind>",
}
#: What the page describes once for two checks.
_ALIKE = {"rx_rate": "tx_rate", "syn_queue_drops": "listen_overflows"}
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "list"}


class Field(NamedTuple):
    """What the page says of one field; ``kind`` is a JSON type, perhaps `` or null``."""

    kind: str
    unit: str
    meaning: str
    present: str


def documented():
    """Every field on the page by its path: ``metrics.interfaces[].iface``."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        prefix = "" if section.startswith("The content\n") else "metrics."
        for cell, kinds, unit, meaning, present in re.findall(
            r"^\| (`.+?`) \| (.*?) \| (.*?) \| (.*) \| (.*?) \|$", section, re.MULTILINE
        ):
            first, *siblings = re.findall("`(.+?)`", cell)
            folder = first.rpartition(".")[0]
            paths = [first, *(f"{folder}.{name}" if folder else name for name in siblings)]
            kinds = kinds.split(", ")
            for path, kind in zip(paths, kinds * len(paths) if len(kinds) == 1 else kinds, strict=False):
                assert prefix + path not in found, f"{path} is told twice"
                found[prefix + path] = Field(kind, unit, meaning, present)
    return found


def fields_of(value, path=""):
    """Every field below ``value``: path and JSON type, as often as it is there."""
    if isinstance(value, list):
        for inner in value:
            yield from fields_of(inner, f"{path}[]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            name = _OPEN.get(path, _ALIKE.get(key, key) if path == "metrics.culprits" else key)
            where = f"{path}.{name}" if path else name
            yield where, "null" if inner is None else _TYPES[type(inner)]
            yield from fields_of(inner, where)


def may_hold(kind, seen):
    """Whether a field of that type may have a value of the type that was seen."""
    return seen in kind.split(" or ") or (seen == "integer" and kind.startswith("number"))
