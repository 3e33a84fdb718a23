"""What can be wrong with an answer of the kernel."""

from __future__ import annotations


class KernelFormatError(ValueError):
    """The kernel's answer is not in the format that this reader knows; says which source and what."""
