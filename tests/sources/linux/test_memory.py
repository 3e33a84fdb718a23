"""Memory that is free again goes back to the kernel."""

import os
import platform
import re
from pathlib import Path

import pytest

from network_health.sources.linux import release_memory

BLOCK, COUNT = 100_000, 300


def resident_bytes():
    """The resident memory of this process."""
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{os.getpid()}/status").read_text())[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim(3)")
def test_free_memory_below_a_used_block_is_released():
    """By itself the C library gives back only what is free at the end of its memory."""
    blocks = [b"x" * BLOCK for _ in range(COUNT)]
    full = resident_bytes()
    del blocks[:-1]
    release_memory()
    assert full - resident_bytes() > BLOCK * COUNT / 2
