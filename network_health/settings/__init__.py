"""Validates the agent's settings.

In: the directive's ``config`` block. Out: `Settings`, and one sentence for each mistake in the block.
"""

from network_health.settings.mistakes import SettingsError, allowed, shown
from network_health.settings.rules import NotAllowed, Rule, endpoint, number
from network_health.settings.settings import Settings, SettingsOutcome

__all__ = [
    "NotAllowed",
    "Rule",
    "Settings",
    "SettingsError",
    "SettingsOutcome",
    "allowed",
    "endpoint",
    "number",
    "shown",
]
