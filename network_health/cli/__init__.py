"""The command ``network-health``: one file a subcommand.

In: a command line. Out: text on stdout and stderr, and an exit status.
"""
