"""Reads the host, with I/O and parsing but no arithmetic.

In: a request for one kind of reading. Out: the value types of `network_health.model`, from the kernel's own
interfaces (``linux/``) or from psutil (``portable``), and `Isolated`, which turns an error or a timeout of a
reading into a value.
"""

from network_health.sources.isolation import Background, Isolated, Outcome
from network_health.sources.readers import PORTABLE, Answer, Readers, available_readers, boot_id, first_answer

__all__ = [
    "PORTABLE",
    "Answer",
    "Background",
    "Isolated",
    "Outcome",
    "Readers",
    "available_readers",
    "boot_id",
    "first_answer",
]
