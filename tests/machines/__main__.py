"""Runs the tests of what reads a kernel in emulated machines: ``python -m tests.machines [NAME...]``.

It needs root. Python, tools and kernel are Debian's. The name ``kernels`` means all kernels of this
processor, and ``processors`` all others; without names all run. What a machine printed is in
``build/machines``. The table of docs/kernels.md gets a new row for each machine that has run. ``one-kernel``
is a few of the tests on a kernel that differs much from newer ones; it gets no row.
"""

import subprocess
import sys
from pathlib import Path

from tests.machines import table
from tests.machines.machines import KERNELS, MACHINES, PROCESSORS
from tests.tree import ROOT

FOLDER = ROOT / "build/machines"
TIMEOUT_S = 3600
_ONE_KERNEL = "6.1"
#: The fuzz tests take an hour there; they read bytes alone, as others of these do.
_READERS = (
    "tests/sources/linux --ignore tests/sources/linux/test_fuzz.py tests/real_kernel/test_monitor_live.py "
    "tests/real_kernel/test_host_settings_live.py tests/collectors"
)
#: The machines have no Prometheus, and no speed.
_LIVE = (
    "tests/machines/test_card_errors.py tests/sources/linux tests/scenarios tests/real_kernel "
    "--ignore tests/real_kernel/test_soak.py --ignore tests/real_kernel/test_export_live.py "
    "--deselect tests/real_kernel/test_bpf_live.py::test_the_cost_of_a_call"
)
_SHORT = (
    "tests/machines/test_card_errors.py tests/sources/linux "
    "tests/scenarios/test_scenarios.py::test_links_that_not_every_kernel_has"
)
_PLUGINS = "-p tests.machines.at_once -p no:cacheprovider"
_COMMAND = f"uname -r\npython -m pytest {_PLUGINS} -q -rsfE --durations 25 --tb=short --color=no"


def command(name: str, live: str) -> str:
    """The live tests on the kernels of this processor, the readers' on another processor."""
    if name in KERNELS:
        return f"{_COMMAND} -m 'root and not slow and not swarm and not packaging' {live}"
    return f"{_COMMAND} -m 'not slow and not swarm and not packaging' {_READERS}"


def run(name: str, live: str = _LIVE, log: str = "") -> table.Row:
    """Run the tests in one machine, and show what came of them; ``log`` is the name of its file."""
    machine = MACHINES[name]
    folder: Path = FOLDER / machine.architecture
    folder.mkdir(parents=True, exist_ok=True)
    try:
        console = machine.run(folder, command(name, live), TIMEOUT_S)
    except subprocess.TimeoutExpired:
        console = (folder / "console").read_text(errors="replace")
    (FOLDER / f"{log or name}.log").write_text(console)
    row = table.read(name, machine.what, console)
    print(f"{name} ({machine.what}): {row.passed} passed, {len(row.failed)} failed", flush=True)
    return row


def main(*names: str) -> int:
    """The exit status is 1 if a test failed or a machine did not end."""
    if names == ("one-kernel",):
        row = run(_ONE_KERNEL, _SHORT, log="one-kernel")
        print(row.text)
        for reason in row.lacking:
            print(f"Not tested, although this kernel is here for it: {reason}")
        return int(not row.is_passed or bool(row.lacking))
    sets = {"kernels": KERNELS, "processors": PROCESSORS}
    chosen = [each for name in names or sets for each in sets.get(name, [name])]
    if unknown := set(chosen) - MACHINES.keys():
        sys.exit(f"{min(unknown)} is no machine; there are {', '.join((*sets, *MACHINES))}")
    is_passed = True
    for name in chosen:
        row = run(name)
        table.write(row)
        is_passed &= row.is_passed
    return int(not is_passed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
