"""Starts the command ``network-health``; imports nothing slow before Ctrl-C is handled.

Guarantees: Ctrl-C never shows a traceback.
"""

from __future__ import annotations

import signal


def run() -> int:
    """Run the command; returns its exit status."""
    try:
        # With the default action, Ctrl-C during the imports ends the process without a traceback.
        # Where SIGINT is ignored, as below nohup, it stays ignored.
        handles_sigint = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if handles_sigint:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from network_health.cli.main import main

        if handles_sigint:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:  # outside of main()
        return 130
