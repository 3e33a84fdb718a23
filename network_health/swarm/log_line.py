"""Makes one log line from a text that may have any content: of a setting, a packet, a process. Pure.

Guarantees: the line is printable, can be encoded, and has at most `MAX_CHARS` characters and a count of
those that were left out.
"""

from __future__ import annotations

MAX_CHARS = 4000


def log_line(text: str) -> str:
    """The text as one line: control characters and lone surrogates are escaped, a long text is cut."""
    kept = text[:MAX_CHARS]
    if not kept.isprintable():
        kept = "".join(map(_printable, kept))[:MAX_CHARS]
    omitted = len(text) - MAX_CHARS
    return f"{kept}… ({omitted} more characters)" if omitted > 0 else kept


def _printable(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
