"""Shows this host live in a terminal: ``network-health watch``.

In: settings and keys. Out: a screen that is drawn again after each check.
"""
