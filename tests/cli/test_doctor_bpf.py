"""What ``network-health doctor`` says about the setting ``bpf``."""

import errno

import pytest

from network_health.sources import linux
from network_health.sources.linux.errors import KernelFormatError
from network_health.swarm.doctor import bpf
from tests.rights import as_nobody
from tests.running_kernel import needs_tracepoints

NEWER = "use Linux 6.3 or later, if you need it"
WITH_BTF = "use a kernel with BTF (CONFIG_DEBUG_INFO_BTF)"
OTHER_PROCESSOR = "use a 64-bit Python on x86, ARM, RISC-V or LoongArch, if you need it"
RIGHTS = "start the swarm as root, or give it both rights (systemd: AmbientCapabilities=CAP_BPF CAP_PERFMON)"


@pytest.mark.parametrize(
    ("error", "lockdown", "has_btf", "reason", "remedy"),
    [
        (PermissionError(1, "no"), "", True, "[Errno 1] no", RIGHTS),
        (
            PermissionError(1, "no"),
            "none integrity [confidentiality]",
            True,
            "[Errno 1] no (the kernel's lockdown is in the mode confidentiality)",
            RIGHTS,
        ),
        (FileNotFoundError(2, "no"), "[none] integrity", False, "[Errno 2] no", WITH_BTF),
        (KernelFormatError("BTF has no x"), "", True, "BTF has no x", NEWER),
        (OSError(errno.ENOSYS, "no"), "", True, "[Errno 38] no", NEWER),
        (OSError(errno.EOPNOTSUPP, "no"), "", False, "[Errno 95] no", OTHER_PROCESSOR),
    ],
)
def test_what_is_missing(error, lockdown, has_btf, reason, remedy, monkeypatch, tmp_path):
    """A note with the reason, the lockdown of the kernel, and what to do."""

    def refuse():
        raise error

    monkeypatch.setattr(linux, "CallCounter", refuse)
    monkeypatch.setattr(bpf, "_LOCKDOWN", tmp_path / "lockdown")
    monkeypatch.setattr(bpf, "_BTF", tmp_path if has_btf else tmp_path / "none")
    if lockdown:
        (tmp_path / "lockdown").write_text(lockdown)
    says = f'"bpf": true would not work, so a report names no process for UDP: {reason}'
    assert bpf.check_bpf() == bpf.note("bpf", says, remedy)


@pytest.mark.root
@needs_tracepoints
def test_this_kernel():
    """As root the doctor tries it; without rights it says which ones are missing."""
    assert bpf.check_bpf().state == "ok"
    assert "AmbientCapabilities=CAP_BPF CAP_PERFMON" in as_nobody(bpf.check_bpf)
