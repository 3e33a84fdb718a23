"""What ``network-health doctor`` says about the network namespaces of containers."""

import pytest

from network_health.sources import linux
from network_health.swarm.doctor import namespaces
from network_health.swarm.doctor.finding import note, ok
from tests.rights import as_nobody
from tests.seccomp import SETNS, deny

ADMIN, PTRACE, READ = 1 << 21, 1 << 19, 1 << 2
NOT_COUNTED = "connections in containers of other users are not counted, and a report names no process there"
NOT_NAMED = "connections in containers are counted, but a report names no process there"
GIVE = (
    "start the swarm as root, or give it all three (systemd: AmbientCapabilities=CAP_SYS_ADMIN "
    "CAP_SYS_PTRACE CAP_DAC_READ_SEARCH; the first one is nearly as much as root)"
)


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (PTRACE | READ, f"without CAP_SYS_ADMIN: {NOT_NAMED}"),
        (ADMIN | PTRACE, f"without CAP_DAC_READ_SEARCH: {NOT_NAMED}"),
        (ADMIN | READ, f"without CAP_SYS_PTRACE: {NOT_COUNTED}"),
        (PTRACE, f"without CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH: {NOT_NAMED}"),
        (0, f"without CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: {NOT_COUNTED}"),
    ],
)
def test_missing_capabilities(held, says, tmp_path):
    """Which ones are missing, what a report does not have then, and what to do."""
    (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{held:016x}\n")
    assert namespaces.check_namespaces(tmp_path / "status") == note("containers", says, GIVE)


@pytest.mark.root
def test_this_host(monkeypatch):
    """As root in the host's pid namespace it works; in another one it says which containers are missing."""
    monkeypatch.setattr(linux, "read_obstacle", lambda: None)
    says = "other network namespaces can be entered: a report names the processes there"
    assert namespaces.check_namespaces() == ok("containers", says)
    monkeypatch.setattr(linux, "read_obstacle", lambda: linux.PID_NAMESPACE)
    says = "in a pid namespace: containers whose processes are outside of it are not counted, or named"
    do = "run the swarm in the pid namespace of the host, for all containers"
    assert namespaces.check_namespaces() == note("containers", says, do)
    assert "without CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH" in as_nobody(
        namespaces.check_namespaces
    )


@pytest.mark.root
def test_setns_is_refused(monkeypatch, namespace):
    """A seccomp filter refuses it although all rights are there: the doctor tries it, and says so."""
    monkeypatch.setattr(linux, "read_obstacle", lambda: None)

    def check():
        deny(SETNS)
        return namespaces.check_namespaces()

    do = "allow setns(2), for example in the seccomp profile of the container"
    found = namespace().call(check)
    assert (found.state, found.subject, found.do) == ("note", "containers", do)
    refused = "[Errno 1] Operation not permitted (setns needs CAP_SYS_ADMIN, and seccomp must allow it)"
    assert found.says == f"{NOT_NAMED}: {refused}"
