"""Which kernels can count calls: the others are tested by their errors."""

import os
import re
from pathlib import Path

import pytest

_RELEASE = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))

needs_tracepoints = pytest.mark.skipif(
    _RELEASE < (6, 3) or not Path("/sys/kernel/btf/vmlinux").exists(),
    reason=f"Linux {os.uname().release} has no sock_send_length, or no BTF",
)
