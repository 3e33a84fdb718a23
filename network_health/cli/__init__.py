"""The command ``network-health``: one file a subcommand, each with ``add_to(subparsers)``."""
