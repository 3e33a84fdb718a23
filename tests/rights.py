"""Doing something without root's rights, whoever runs the tests."""

import os
import traceback

NOBODY = 65534


def as_nobody(act):
    """Run ``act`` in a process without root's rights; the text of what it returned, or of its error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            answer = str(act())
        except BaseException:  # noqa: BLE001 - the child must end here, and the parent must learn why
            answer = traceback.format_exc()
        with os.fdopen(writing, "w") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
