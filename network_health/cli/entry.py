"""What the command ``network-health`` starts with: nothing that takes long to import.

Law: Ctrl-C ends it without a traceback from the first moment on.
"""

from __future__ import annotations

import signal


def run() -> int:
    """The command; returns its exit status."""
    try:
        return _imported_and_run()
    except KeyboardInterrupt:  # before the command could take care of it
        return 130


def _imported_and_run() -> int:
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else ignored, as by nohup
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from network_health.cli.main import main

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()
