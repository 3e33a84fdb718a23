"""Runs the live tests on Debian's packaged kernels: ``python -m tests.kernels [PACKAGE...]``; needs root.

Each kernel is downloaded, not installed, and booted in an emulated machine. Without arguments all kernels of
`PACKAGES` run. What a run printed is in ``build/kernels``.
"""

import subprocess
import sys

from tests.kernels import initramfs, machine, packages
from tests.kernels.results import Results, read_results

#: Each version that Debian 12 has, and each flavour that builds other things in.
PACKAGES = (
    "linux-image-amd64",
    "linux-image-cloud-amd64",
    "linux-image-rt-amd64",
    "linux-image-6.12-amd64",
    "linux-image-6.12-cloud-amd64",
)
#: What reads the kernel, and what names culprits by it.
TESTS = ("tests/sources/linux", "tests/real_kernel", "tests/scenarios", "tests/kernels")
FOLDER = initramfs.PROJECT / "build" / "kernels"
TIMEOUT_S = 3600


def run(package: str, tests: tuple[str, ...] = TESTS) -> Results:
    """Boot one kernel and run the tests in it."""
    kernel = packages.fetch(package, FOLDER)
    folder = FOLDER / f"run-{kernel.release}"
    folder.mkdir(parents=True, exist_ok=True)
    command = (
        f"cd {initramfs.PROJECT} && export PYTHONPYCACHEPREFIX=$PWD/.venv/bytecode && "
        "QUICK=1 .venv/bin/python -m pytest -p tests.kernels.at_once -n 2 --color=no --tb=short -q "
        f"-m 'root and not swarm and not packaging and not slow' --junitxml=/dev/ttyS1 {' '.join(tests)}"
    )
    archive = initramfs.build(kernel, folder, command)
    try:
        console = machine.run(kernel, archive, folder, TIMEOUT_S)
    finally:
        archive.unlink()
    return read_results(kernel, folder / "results", console)


def main(arguments: list[str]) -> int:
    """Run the kernels that are named, or all; 0 if every test passed."""
    is_failed = False
    for package in arguments or PACKAGES:
        found = run(package)
        is_failed |= bool(found.failed)
        print(f"{found.kernel.release}: {found.passed} passed, {len(found.failed)} failed", flush=True)
        for each in found.failed:
            print(f"  {each}")
        for reason, count in found.skipped.items():
            print(f"  {count} not run: {reason}")
    return int(is_failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f"kernels: {error}")
