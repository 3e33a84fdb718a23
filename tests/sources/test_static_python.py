"""A Python that can load no library, as one that is statically linked."""

import subprocess
import sys

STATIC = """
import ctypes

def load(*_, **__):
    raise OSError("Dynamic loading not supported")

ctypes.CDLL = load
from network_health import Monitor, Settings
from network_health.sources.linux import release_memory
release_memory()
print(*Monitor(Settings(bpf=True)).check().metrics)
"""


def test_a_python_that_can_load_no_library():
    """A check is complete; those for musl are sometimes so."""
    done = subprocess.run([sys.executable, "-c", STATIC], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert {"interfaces", "total_connections", "protocols", "top_procs"} <= set(done.stdout.split())
