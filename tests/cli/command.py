"""Runs the real command as an operator does: with pipes, or at a terminal."""

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from network_health.cli.main import main

NETWORK_HEALTH = str(Path(sys.executable).with_name("network-health"))
_PLAIN = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
ENVIRONMENT = _PLAIN | {"TERM": "xterm", "LANG": "C.UTF-8"}


def run(*words, prefix=(), cwd=None, **variables):
    """Run the command; returns ``returncode``, ``stdout`` and ``stderr``, and accepts no traceback."""
    done = subprocess.run(
        [*prefix, NETWORK_HEALTH, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env=ENVIRONMENT | variables,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def run_here(*words, **variables):
    """Run the command in this process, which starts no Python for it; returns the same as `run`."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, variables),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        status = main([str(word) for word in words])
    return subprocess.CompletedProcess(words, status, stdout.getvalue(), stderr.getvalue())


def inside(space, *words, **options):
    """Run the command in a network namespace."""
    return run(*words, prefix=("ip", "netns", "exec", space.name), **options)


def at_a_terminal(*words, **variables):
    """Run the command on a new terminal; returns the exit status and all that it wrote."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(NETWORK_HEALTH, [NETWORK_HEALTH, *map(str, words)], ENVIRONMENT | variables)
    written = b""
    with os.fdopen(terminal, "rb", buffering=0) as reader:
        while True:
            try:
                part = reader.read(65536)
            except OSError:  # on Linux the end of a terminal is an error
                break
            if not part:
                break
            written += part
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert b"Traceback" not in written, written.decode()
    return status, written.decode().replace("\r\n", "\n")
