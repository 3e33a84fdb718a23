"""Implements the command ``network-health``: one file per subcommand.

In: a command line. Out: text on stdout and stderr, and an exit status.
"""
