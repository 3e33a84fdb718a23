"""``network-health watch``: the live view of this host in a terminal.

In: settings and keys. Out: a screen that is drawn anew after each check.
"""
