"""Finds the script that an interpreter runs, from ``/proc/<pid>/cmdline``; see proc_pid_cmdline(5).

Guarantees: of the arguments only the file of the script, the module or the main class is returned, never an
argument of it, nor code. With an option that is not known here there is no script. At most `_MAX_BYTES` are
read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from network_health.model import bounded_name
from network_health.sources.linux.bounded import read_start

_MAX_BYTES = 4096
#: Files without a name of their own, such as /dev/fd/63 and /proc/self/fd/3.
_NAMELESS = ("/dev/", "/proc/")


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """``alone`` are the options without a value, ``valued`` those whose value is the next argument.

    The argument after one of ``naming`` is what is run.
    """

    program: re.Pattern[str]
    alone: re.Pattern[str]
    valued: tuple[str, ...] = ()
    naming: tuple[str, ...] = ()


_INTERPRETERS = (
    _Interpreter(
        re.compile(r"(?:python|pypy)[\d.]*"), re.compile(r"-[bBdEhiIOPqsSuvx]+"), ("-W", "-X"), ("-m",)
    ),
    _Interpreter(
        re.compile(r"-?(?:ba|da|k|z)?sh"), re.compile(r"-[aefhilmnuvx]+|--(?:login|norc|noprofile)")
    ),
    _Interpreter(re.compile(r"(?:perl|ruby)[\d.]*"), re.compile(r"-[wTtWX]+")),
    _Interpreter(re.compile(r"(?:node|nodejs)"), re.compile(r"--[a-z-]+=.*")),
    _Interpreter(re.compile(r"(?:php|lua)[\d.]*"), re.compile(r"(?!)")),
    _Interpreter(
        re.compile(r"java"),
        re.compile(r"-(?:[XD]|javaagent:|agentlib:|agentpath:|ea\b|esa\b|server\b).*|--[a-z-]+=.*"),
        ("-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens"),
        ("-jar",),
    ),
)


def read_script(pid: int) -> str | None:
    """What an interpreter runs: ``worker.py``, ``-m http.server``; ``None`` if that is not known."""
    try:
        return parse_script(read_start(f"/proc/{pid}/cmdline", _MAX_BYTES))
    except OSError:  # it has ended, or the kernel denies access
        return None


def parse_script(command_line: bytes) -> str | None:
    """The script in a command line; a process title, which does not end with NUL, has none."""
    words = iter(os.fsdecode(command_line).split("\0")[:-1])
    program = next(words, "").rpartition("/")[2]
    interpreter = next((each for each in _INTERPRETERS if each.program.fullmatch(program)), None)
    return None if interpreter is None else _script(interpreter, words)


def _script(interpreter: _Interpreter, words: Iterator[str]) -> str | None:
    for word in words:
        if word in interpreter.naming:
            named = next(words, "").rpartition("/")[2]
            return bounded_name(f"-m {named}" if word == "-m" else named) if named else None
        if word in interpreter.valued:
            next(words, None)
        elif not word.startswith("-"):
            return None if word.startswith(_NAMELESS) else bounded_name(word.rpartition("/")[2]) or None
        elif not interpreter.alone.fullmatch(word):
            return None
    return None
