"""How a live view looks on one terminal: its styles, and the signs that the terminal has. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from network_health.cli.text import plain
from network_health.cli.watch.history import ASCII_LEVELS, BLOCK_LEVELS

ALARM, CHOSEN, DIM, HEAD, SPARK = "bold yellow", "reverse", "dim", "bold", "green"


@dataclass(frozen=True, slots=True)
class Theme:
    """What a terminal can show: an encoding, and whether its font has the blocks of a sparkline."""

    encoding: str = "utf-8"
    has_blocks: bool = True

    @property
    def levels(self) -> str:
        """The signs of a sparkline."""
        return BLOCK_LEVELS if self.has_blocks and self._has(BLOCK_LEVELS) else ASCII_LEVELS

    @property
    def cut_off(self) -> str:
        """What stands where a text is cut off."""
        return "…" if self._has("…") else "~"

    def plain(self, text: object) -> str:
        """Text that the terminal shows and does not obey."""
        clean = plain(text)
        return clean if self._has(clean) else clean.encode(self.encoding, "replace").decode(self.encoding)

    def _has(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True
