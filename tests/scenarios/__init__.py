"""Random situations whose culprit is known, and whether the report names it.

``network`` makes the links of the host, ``testbed`` and ``worker`` its processes; the other modules are the
situations, each with what the report must say (`Expected`).
"""
