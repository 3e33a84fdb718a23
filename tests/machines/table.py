"""The table of docs/kernels.md: a row for each machine, replaced when it has run again."""

import re
from collections import Counter
from dataclasses import dataclass

from tests.tree import ROOT

PAGE = ROOT / "docs/kernels.md"
#: In place of ``|``, which would begin another cell.
BAR = "&#124;"
_TABLE = re.compile(r"(?<=<!-- machines -->\n).*?(?=\n<!-- /machines -->)", re.DOTALL)
_PASSED = re.compile(r"^(?:=+ )?(?:\d+ failed, )?(\d+) passed.* in [\d.]+s", re.MULTILINE)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (?:tests/)?(\S+::.+?)(?: - .*)?$", re.MULTILINE)
#: What `at_once` shows: all that there is of a machine that ended before the tests did.
_FAILED_AT_ONCE = re.compile(r"^(?:tests/)?(\S+::.+) \((?:setup|call|teardown)\)$", re.MULTILINE)
#: Reasons of tests that a whole kernel does not skip.
_LACKING = ("this kernel has no ", "this machine has no ")
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
    def lacking(self) -> list[str]:
        """Why tests were skipped that need a link, a queue or a card."""
        return [reason for reason in self.skipped if reason.startswith(_LACKING)]

    @property
    def text(self) -> str:
        """The row."""
        failed = "<br>".join(self.failed) or "0"
        skipped = "<br>".join(f"{count}: {reason}" for reason, count in sorted(self.skipped.items())) or "0"
        if not self.is_complete:
            failed = f"did not end; {failed}"
        cells = f"`{self.name}`", self.what, self.release, str(self.passed), failed, skipped
        return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


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
        tuple(dict.fromkeys([*_FAILED_AT_ONCE.findall(text), *_FAILED.findall(text)])),
        skipped,
        passed is not None,
    )


def write(row: Row) -> None:
    """Put the row in place of the machine's earlier one, or at the end."""
    page = PAGE.read_text()
    lines = _TABLE.search(page)[0].splitlines()
    rows = {line.partition("|")[2].partition("|")[0]: line for line in lines}
    rows[f" `{row.name}` "] = row.text
    PAGE.write_text(_TABLE.sub(lambda _: "\n".join(rows.values()), page))
