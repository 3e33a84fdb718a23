"""Records the test data of kernels in their machines: ``python -m tests.machines.record 6.1 6.12``.

It needs root. What is recorded is in ``tests/fixtures/linux-<version>`` afterwards.
"""

import base64
import io
import sys
import tarfile

from tests.machines.machines import KERNELS
from tests.tree import FIXTURES, ROOT

_BEGIN, _END = "-- recordings --", "-- end --"
_COMMAND = f"""
python -m tests.fixtures.record {{kernel}} || exit
echo "{_BEGIN}"
python -m tarfile -c /disk/recordings.tar tests/fixtures/{{kernel}}
base64 /disk/recordings.tar
echo "{_END}"
"""
_TIMEOUT_S = 600


def main(*names: str) -> None:
    """Record on these kernels."""
    for name in names:
        folder = ROOT / "build/machines" / KERNELS[name].architecture
        folder.mkdir(parents=True, exist_ok=True)
        console = KERNELS[name].run(folder, _COMMAND.format(kernel=f"linux-{name}"), _TIMEOUT_S)
        if _BEGIN not in console:
            sys.exit(console)
        archive = base64.b64decode(console.partition(_BEGIN)[2].partition(_END)[0])
        with tarfile.open(fileobj=io.BytesIO(archive)) as file:
            file.extractall(FIXTURES.parents[1], filter="data")


if __name__ == "__main__":
    main(*sys.argv[1:])
