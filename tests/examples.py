"""How many examples a property test has: a tenth of them in the inner loop, where ``QUICK`` is set."""

import os


def examples(count):
    """So many examples, or a tenth, at least ten."""
    return max(10, count // 10) if os.environ.get("QUICK") else count
