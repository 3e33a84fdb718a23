"""The report with ``bpf`` where the kernel does not allow it, or has no place for what it counts.

Each fault is one reason in the report, which has all that it has without the setting.
"""

import contextlib
import ctypes
import errno
import platform
import re
import socket
import time

import pytest

from network_health import Monitor, Settings
from network_health.sources.linux import bpf, btf
from tests.netns import veth
from tests.real_kernel.paced import Sender, clauses, listening, started
from tests.running_kernel import needs_tracepoints
from tests.seccomp import BPF, deny

pytestmark = pytest.mark.root

SETTINGS = Settings(tx_threshold_mbps=1, conn_threshold=10**6, namespaces="off", bpf=True)
KERNEL_TYPES = "/sys/kernel/btf/vmlinux"


@pytest.fixture
def host(namespace):
    """A host with a link to another one, which is returned as well."""
    host, other = namespace(), namespace()
    veth(host, other, ("eth0", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    return host, other


def check(prepare):
    """The content of the second breached check in this process after `prepare`; a flow goes on meanwhile."""
    prepare()
    bpf._kernel_types.cache_clear()
    monitor = Monitor(SETTINGS)
    breached, deadline_s = 0, time.monotonic() + 60
    while breached < 2 and time.monotonic() < deadline_s:
        time.sleep(0.3)
        report = monitor.check()
        breached += bool(report.alerts)
    return report.as_content()


def btf_is(kind, folder):
    """The kernel's types are another file: a fault of this kind."""
    path = folder / "vmlinux"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        with open(KERNEL_TYPES, "rb") as file:
            path.write_bytes(file.read(100_000))
    elif kind == "of other structures":
        path.write_bytes(btf._HEADER.pack(btf._MAGIC, 1, 0, btf._HEADER.size, 0, 0, 0, 1) + b"\0")
    elif kind == "a folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "FileNotFoundError: [Errno 2] No such file or directory: 'VMLINUX'"),
        ("a folder", "IsADirectoryError: [Errno 21] Is a directory: 'VMLINUX'"),
        ("empty", "KernelFormatError: BTF is damaged: unpack_from requires a buffer of at least 24 bytes"),
        ("truncated", "KernelFormatError: BTF has an unknown version, or is cut"),
        ("of other structures", "KernelFormatError: BTF has no "),
    ],
)
def test_btf(host, tmp_path, kind, reason):
    """Without usable BTF nothing is counted by process; the report says why."""
    here, other = host
    path = btf_is(kind, tmp_path)

    def prepare():
        btf._KERNEL = path

    with listening(other), started(here, Sender("quic", "10.8.0.2", 20, udp=True).run):
        content = here.call(check, prepare)
    require_reduced(content, f"bpf: {reason.replace('VMLINUX', str(path))}")


@needs_tracepoints
@pytest.mark.parametrize(
    ("error", "words"), [(errno.EPERM, "Operation not permitted"), (errno.ENOSYS, "Function not implemented")]
)
def test_bpf_is_refused(host, error, words):
    """A seccomp filter refuses bpf(2), as in a container, or as a kernel without it does.

    The lockdown of the kernel cannot be tried here: it stays until the next boot. It refuses in the same way.
    """
    here, other = host
    kind = "PermissionError" if error == errno.EPERM else "OSError"
    with listening(other), started(here, Sender("quic", "10.8.0.2", 20, udp=True).run):
        content = here.call(check, lambda: deny(BPF, error=error))
    require_reduced(content, f"bpf: {kind}: [Errno {error}] bpf(2) cannot create a map: {words}")


@pytest.mark.parametrize(
    ("machine", "pointer_bytes", "system"),
    [("s390x", 8, "64-bit Python on s390x"), ("x86_64", 4, "32-bit Python on x86_64")],
)
def test_another_processor(host, machine, pointer_bytes, system):
    """The program is for 64-bit little-endian systems: on others it is not loaded, and the report says so."""
    here, other = host

    def prepare():
        platform.machine = lambda: machine
        sizeof = ctypes.sizeof
        ctypes.sizeof = lambda kind: pointer_bytes if kind is ctypes.c_void_p else sizeof(kind)

    with listening(other), started(here, Sender("quic", "10.8.0.2", 20, udp=True).run):
        content = here.call(check, prepare)
    reason = f"OSError: [Errno 95] bpf(2) is not supported by this agent with a {system}"
    require_reduced(content, f"bpf: {reason}")


def require_reduced(content, reason):
    """The finding is there, with what is known without bpf; nobody is named, and the check did not fail."""
    assert (content["status"], content["severity"]) == ("network_issue", "WARNING")
    assert content["metrics"].get("failures", []) == []
    (clause,) = clauses(content).values()
    assert "not TCP: " in clause
    assert "quic" not in clause
    assert content["metrics"]["culprits"]["failure"].startswith(reason)


@needs_tracepoints
def test_a_full_map(host):
    """Bytes for which the map is full are unattributed, and the report says so."""
    here, other = host

    def flood():
        with open("/proc/self/comm", "w") as name:
            name.write("many")
        ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
        for number, end in enumerate(ends):
            end.connect(("10.8.0.2", 10_000 + number))
        while True:
            for end in ends:
                with contextlib.suppress(ConnectionRefusedError):
                    end.send(bytes(1000))
            time.sleep(0.02)

    def small():
        bpf.CallCounter.__init__.__defaults__ = (8,)

    with listening(other), started(here, flood):
        content = here.call(check, small)
    assert content["metrics"].get("failures", []) == []
    (clause,) = clauses(content).values()
    assert re.fullmatch(r"\d+% not TCP: [\d,]+ UDP datagrams/s", clause), clause
    (rate,) = content["metrics"]["culprits"]["tx_rate"]
    # Other processes of this kernel may have taken the few places first.
    named = [(each["name"], each["percent"] < 10) for each in rate["processes"]]
    assert named in ([("many", True)], [])
    if named:
        assert content["metrics"]["top_network"][-1]["is_whole"] is False
    reason = r"bpf: [\d,]+ bytes on this host have no process: too many processes and peers"
    assert re.fullmatch(reason, content["metrics"]["culprits"]["failure"])
