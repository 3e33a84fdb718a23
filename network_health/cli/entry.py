"""What the command ``network-health`` starts with: nothing that takes long to import.

Law: Ctrl-C ends it without a traceback from the first moment on.
"""

from __future__ import annotations

import signal

__all__ = ["run"]


def run() -> int:
    """The command; returns its exit status."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as by nohup
        from network_health.cli.main import main

        return main()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from network_health.cli.main import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()
