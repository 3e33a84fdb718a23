"""If the kernel denies access to its own interfaces (a seccomp filter, as in containers), psutil is used."""

import pytest

from network_health import Monitor
from tests.seccomp import deny_netlink

pytestmark = pytest.mark.root

NETLINK_SOCK_DIAG = 4


@pytest.mark.parametrize(
    ("protocol", "readers"),
    [
        (NETLINK_SOCK_DIAG, {"interfaces": "kernel", "connections": "psutil", "processes": "kernel"}),
        (None, {"interfaces": "psutil", "connections": "psutil", "processes": "kernel"}),
    ],
    ids=["sock_diag denied", "all netlink denied"],
)
def test_without_access_psutil_is_used(namespace, protocol, readers):
    """The report is complete and healthy, has the same number of sockets, and names the readers."""

    def watch():
        deny_netlink(protocol)
        report = Monitor().check()
        return report.status, report.metrics

    status, metrics = namespace().call(watch)
    assert status == "healthy"
    assert metrics["check"]["readers"].items() >= readers.items()
    assert metrics["total_connections"] == 0
    assert "lo" in [i["iface"] for i in metrics["interfaces"]]
    assert metrics["top_procs"]


def test_a_monitor_that_loses_access_uses_psutil(namespace):
    """The first check uses the kernel, the second one has no access to it."""

    def watch():
        monitor = Monitor()
        before = monitor.check().metrics["check"]["readers"]["connections"]
        deny_netlink(NETLINK_SOCK_DIAG)
        after = monitor.check()
        return before, after.metrics["check"]["readers"]["connections"], after.status

    assert namespace().call(watch) == ("kernel", "psutil", "healthy")
