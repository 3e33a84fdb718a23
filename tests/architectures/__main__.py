"""Runs the readers' tests on other processors: ``python -m tests.architectures [NAME...]``; needs root.

Python, tools and kernel are Debian's, and run in an emulated machine. What a machine printed is in
``build/architectures``. Without names all machines run.
"""

import re
import subprocess
import sys

from tests.architectures.machines import MACHINES, run
from tests.tree import ROOT

FOLDER = ROOT / "build/architectures"
#: The fuzz tests take an hour there; they read bytes alone, as others of these do.
TESTS = (
    "tests/sources/linux --ignore tests/sources/linux/test_fuzz.py tests/real_kernel/test_monitor_live.py "
    "tests/real_kernel/test_host_settings_live.py tests/collectors"
)
COMMAND = (
    "uname -r -m\n"
    "python3 -m pytest -v --tb=short --color=no -p no:cacheprovider "
    f"-m 'not slow and not swarm and not packaging' {TESTS}"
)
TIMEOUT_S = 3600
_SUMMARY = re.compile(r"^=+ (.*(?:passed|failed|error).*) in .* =+$", re.MULTILINE)


def main(*names: str) -> int:
    """Run the tests on each machine; the exit status is 1 if a test failed or a machine did not end."""
    failed = False
    for name in names or MACHINES:
        folder = FOLDER / MACHINES[name].architecture
        folder.mkdir(parents=True, exist_ok=True)
        try:
            console = run(MACHINES[name], folder, COMMAND, TIMEOUT_S)
            (summary,) = _SUMMARY.findall(console.replace("\r", "")) or ("it did not end",)
        except subprocess.TimeoutExpired:
            console, summary = (folder / "console").read_text(errors="replace"), f"not done in {TIMEOUT_S} s"
        (FOLDER / f"{name}.log").write_text(console)
        failed |= "exit status 0" not in console
        print(f"{name} ({MACHINES[name].what}): {summary}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
