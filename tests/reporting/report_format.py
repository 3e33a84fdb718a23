"""Reads the fields that docs/report-format.md documents, and those that a report has, as the same paths."""

import re
from typing import NamedTuple

from tests.tree import DOCS

PAGE = DOCS / "report-format.md"

#: Objects whose keys are data, and how the page writes such a key.
_DATA_KEYS = {
    "metrics.by_status": "<state>",
    "metrics.check.collectors": "<collector>",
    "metrics.check.readers": "<collector>",
    "metrics.culprits.packet_errors[].kinds": "<kind>",
}
#: Checks whose fields the page documents under another check.
_SAME_FIELDS = {
    "rx_rate": "tx_rate",
    "peer_retransmits": "retransmits",
    **dict.fromkeys(("listen_drops", "syn_queue_drops", "syn_cookies"), "listen_overflows"),
    "softnet_squeezed": "softnet_dropped",
}
#: Lists whose objects the page documents as this one object.
_SAME_OBJECT = {"metrics.culprits.namespace_connections": "metrics.culprits.connections"}
#: Where the page documents the processes that share sockets, which every owner may have.
SHARED_WITH = "metrics.culprits.connections.ports[].shared_with"
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "list"}


class Field(NamedTuple):
    """A field as documented; ``kind`` is a JSON type, or several joined by `` or ``."""

    kind: str
    unit: str
    meaning: str
    present: str


def documented():
    """Every documented field by its path, such as ``metrics.interfaces[].iface``."""
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
                assert prefix + path not in found, f"{path} is documented twice"
                found[prefix + path] = Field(kind, unit, meaning, present)
    return found


def fields_of(value, path=""):
    """Path and JSON type of every field below ``value``, with repetitions."""
    if isinstance(value, list):
        for inner in value:
            yield from fields_of(inner, _SAME_OBJECT.get(path, f"{path}[]"))
    elif isinstance(value, dict):
        for key, inner in value.items():
            name = _DATA_KEYS.get(path, _SAME_FIELDS.get(key, key) if path == "metrics.culprits" else key)
            inner_path = f"{path}.{name}" if path else name
            if key == "shared_with" and path.startswith("metrics.culprits."):
                inner_path = SHARED_WITH
            yield inner_path, "null" if inner is None else _TYPES[type(inner)]
            yield from fields_of(inner, inner_path)


def allows(kind, actual):
    """Whether a field documented as ``kind`` may have a value of type ``actual``."""
    return actual in kind.split(" or ") or (actual == "integer" and kind.startswith("number"))
