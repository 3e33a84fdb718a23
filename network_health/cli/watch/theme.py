"""Describes how to draw on one terminal: styles, and the characters that it can show. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from network_health.reporting import ASCII_LEVELS, BLOCK_LEVELS, printable

ALERT, SELECTED, DIM, HEAD, SPARK = "bold yellow", "reverse", "dim", "bold", "green"


@dataclass(frozen=True, slots=True)
class Theme:
    """A terminal's encoding, and whether its font has the block characters of a sparkline."""

    encoding: str = "utf-8"
    has_blocks: bool = True

    @property
    def levels(self) -> str:
        """The characters of a sparkline, from low to high."""
        return BLOCK_LEVELS if self.has_blocks and self._has(BLOCK_LEVELS) else ASCII_LEVELS

    @property
    def ellipsis(self) -> str:
        """The character after a text that was cropped."""
        return "…" if self._has("…") else "~"

    def printable(self, text: object) -> str:
        """The text with ``?`` for each character that the terminal cannot show or would execute."""
        clean = printable(text)
        return clean if self._has(clean) else clean.encode(self.encoding, "replace").decode(self.encoding)

    def _has(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True
