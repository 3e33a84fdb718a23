"""What goes wrong around a swarm, said so that an operator can act on it."""

from __future__ import annotations


class SwarmError(Exception):
    """One sentence for the operator: what did not work, and where it can be told, what to do."""
