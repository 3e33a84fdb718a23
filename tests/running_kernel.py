"""The kernel that runs: what it has not is tested by its errors."""

import os
import re
from pathlib import Path

import pytest

#: Version and sublevel.
RELEASE = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))

HAS_TRACEPOINTS = RELEASE >= (6, 3) and Path("/sys/kernel/btf/vmlinux").exists()
#: On other kernels it is tested that the report says what is missing.
needs_tracepoints = pytest.mark.skipif(
    not HAS_TRACEPOINTS, reason=f"Linux {os.uname().release} has no sock_send_length, or no BTF"
)
