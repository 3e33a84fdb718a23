"""The Pythons that the distribution is for, as far as they can be had on this machine.

``python -m tests.packaging.pythons TARGET VERSION...`` runs a target of make with each of them.
"""

import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from tests.isolated import outside

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
#: The environments in which the targets run.
ENVIRONMENTS = Path("build")
_ANSWER_S, _DOWNLOAD_S = 30, 300
#: The interpreter behind the environment that runs this.
_OWN = os.path.realpath(sys.executable)


class NotToBeHadError(Exception):
    """No interpreter of that version; the sentence says what was tried."""


def main(target, *versions):
    """Run the target with one Python after the other; the exit status is 1 if one fails, or is not there."""
    found, results = {}, {}
    for version in versions:
        try:
            found[version] = python(version)
        except NotToBeHadError as error:
            results[version] = f"NOT TESTED: {error}"
    for version, path in found.items() if not results else ():
        began = time.monotonic()
        variables = f"PYTHON={path}", f"VENV={ENVIRONMENTS}/python{version}"
        status = subprocess.run(["make", target, *variables], check=False).returncode
        minutes = (time.monotonic() - began) / 60
        results[version] = f"{f'FAILED ({status})' if status else 'passed'} in {minutes:.1f} min with {path}"
    print(f"make {target}, by Python", *(f"{version}: {what}" for version, what in results.items()), sep="\n")
    return int(not results or not all(what.startswith("passed") for what in results.values()))


def uv():
    """The installer that ``make setup`` puts beside this Python, or one that the machine has."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found, f"uv is needed to make environments: run `{sys.executable} -m pip install uv`"
    return found


@cache
def python(version):
    """An interpreter of that version: what runs this, the machine's, pyenv's, or one that uv fetches.

    Raises:
        NotToBeHadError: there is none.
    """
    for candidate in _here(version):
        if _version_of(candidate) == version:
            return candidate
    fetched, complaint = _fetched(version)
    if fetched and _version_of(fetched) == version:
        return fetched
    raise NotToBeHadError(
        f"there is no Python {version} on this machine, and uv could not fetch one: {complaint}"
    )


def _here(version):
    yield _OWN
    for folder in os.get_exec_path():
        yield str(Path(folder, f"python{version}"))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for versions in (pyenv, Path(_OWN).parents[2]):  # the second: where pyenv keeps this one, if it does
        yield from map(str, sorted(versions.glob(f"{version}.*/bin/python{version}")))
    yield _said([uv(), "python", "find", "--managed-python", "--no-python-downloads", version])[0]


def _fetched(version):
    """Its path or nothing, and uv's last complaint."""
    command = [*outside(Path.cwd()), uv(), "python", "install", version]
    _, complaint = _said(command, seconds=_DOWNLOAD_S)
    path, _ = _said([uv(), "python", "find", "--managed-python", "--no-python-downloads", version])
    return path, complaint.strip().splitlines()[-1].strip() if complaint.strip() else "it did not say why"


def _version_of(path):
    """``3.12``; nothing for what is no Python, as a shim of pyenv's without one behind it."""
    return _said([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])[0]


def _said(command, seconds=_ANSWER_S):
    """What a command answered and complained of; nothing where there is no such command."""
    if not command[0]:
        return "", ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return (done.stdout.strip() if done.returncode == 0 else ""), done.stderr


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
