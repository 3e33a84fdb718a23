"""Defines the error of a reader that does not understand the kernel's answer."""

from __future__ import annotations


class KernelFormatError(ValueError):
    """The kernel's answer has an unknown format. The text names the source and the problem."""
