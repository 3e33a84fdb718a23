"""The table of docs/kernels.md: a row for each machine, replaced when it has run again."""

import re
from collections import Counter
from dataclasses import dataclass

from tests.tree import ROOT

PAGE = ROOT / "docs/kernels.md"
_TABLE = re.compile(r"(?<=<!-- machines -->\n).*?(?=\n<!-- /machines -->)", re.DOTALL)
_PASSED = re.compile(r"^(?:=+ )?(?:\d+ failed, )?(\d+) passed.* in [\d.]+s", re.MULTILINE)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", re.MULTILINE)
_SKIPPED = re.compile(r"^SKIPPED \[(\d+)\] \S+ (.+)$", re.MULTILINE)
_RELEASE = re.compile(r"^\d+\.\d+\.\S+$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What the tests said in one machine; ``skipped`` is how many were, by reason."""

    name: str
    what: str
    release: str
    passed: int
    failed: tuple[str, ...]
    skipped: Counter[str]
    is_complete: bool

    @property
    def is_passed(self) -> bool:
        """Whether every test ran, and none failed."""
        return self.is_complete and not self.failed

    @property
    def text(self) -> str:
        """The row."""
        failed = "<br>".join(self.failed) or "0"
        skipped = "<br>".join(f"{count}: {reason}" for reason, count in sorted(self.skipped.items())) or "0"
        if not self.is_complete:
            failed = f"did not end; {failed}"
        return f"| `{self.name}` | {self.what} | {self.release} | {self.passed} | {failed} | {skipped} |"


def read(name: str, what: str, console: str) -> Row:
    """The row of a machine, from what its console showed."""
    text = console.replace("\r", "")
    release, passed = _RELEASE.search(text), _PASSED.search(text)
    skipped: Counter[str] = Counter()
    for count, reason in _SKIPPED.findall(text):
        skipped[reason] += int(count)
    return Row(
        name,
        what,
        release[0] if release else "",
        int(passed[1]) if passed else 0,
        tuple(dict.fromkeys(_FAILED.findall(text))),
        skipped,
        passed is not None,
    )


def write(row: Row) -> None:
    """Put the row in place of the machine's earlier one, or at the end."""
    page = PAGE.read_text()
    lines = _TABLE.search(page)[0].splitlines()
    others = [line for line in lines if not line.startswith(f"| `{row.name}` |")]
    PAGE.write_text(_TABLE.sub(lambda _: "\n".join([*others, row.text]), page))
