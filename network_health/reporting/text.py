"""Makes texts from the kernel safe for JSON. Pure."""

from collections.abc import Mapping
from typing import Any


def safe_text(text: str) -> str:
    """A text safe for JSON: a name from the kernel may have bytes that are not UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def safe_value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same value with every text safe for JSON, and lists for tuples."""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, Mapping):
        return {key: safe_value(inner) for key, inner in value.items()}
    return [safe_value(inner) for inner in value] if isinstance(value, (list, tuple)) else value
