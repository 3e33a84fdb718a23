"""2,000 network namespaces, in a ``/proc`` of text files: so many real ones would disturb other tests."""

import ctypes
import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from network_health.alerting.namespace_limits import namespace_findings
from network_health.collectors import observe_namespaces
from network_health.reporting.namespaces import MAX_LISTED, namespace_metrics
from network_health.settings import Settings
from network_health.sources.linux.namespace_reader import NamespaceReader
from tests.netns import run

CLONE_NEWNS = 0x00020000
COUNT = 2000
SOCKSTAT = "sockets: used 99\nTCP: inuse {} orphan 0 tw 1 alloc 1 mem 0\nUDP: inuse 2 mem 0\n"
SOCKSTAT6 = "TCP6: inuse 3\nUDP6: inuse 4\n"
LIMIT = Settings.from_mapping({"container_conn_threshold": 0})


def mount_processes(count):
    """Mount a ``/proc`` with so many processes, each in a namespace of its own; the first is this one."""
    assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", "/proc")
    for pid in range(1, count + 2):
        files = Path("/proc", str(pid), "net")
        files.mkdir(parents=True)
        (files / "sockstat").write_text(SOCKSTAT.format(pid))
        (files / "sockstat6").write_text(SOCKSTAT6)
        (files.parent / "ns").mkdir()
        os.symlink(f"net:[{4026530000 + pid}]", files.parent / "ns" / "net")
    Path("/proc/1/ns/net:[4026530001]").touch()  # what a link to it leads to
    Path("/proc/thread-self").symlink_to("1")


@pytest.mark.root
def test_2000_namespaces_are_counted_in_bounded_time_and_memory(namespace):
    """All are counted; the report lists the first 100, and a check takes less than 5 s and keeps 8 MB."""

    def read():
        mount_processes(COUNT)
        reader = NamespaceReader()
        tracemalloc.start()
        for _ in range(3):
            began_s = time.process_time()
            seen = observe_namespaces(reader.read(), ())
            metrics, findings = namespace_metrics(seen), list(namespace_findings(seen, LIMIT))
            cpu_s = time.process_time() - began_s
        kept = tracemalloc.get_traced_memory()[0]
        first = seen.entries[0]
        return (
            (len(seen.entries), seen.is_whole, first.tcp, first.udp),
            (len(metrics["namespaces"]), len(json.dumps(metrics)), metrics["namespaces_note"], len(findings)),
            cpu_s,
            kept,
        )

    seen, reported, cpu_s, kept = namespace().call(read)
    assert seen == (COUNT, True, COUNT + 1 + 1 + 3, 2 + 4)
    listed, size, note, findings = reported
    assert (listed, findings <= 21) == (MAX_LISTED, True)
    assert f"{MAX_LISTED} of {COUNT} network namespaces are listed, those with most connections" in note
    assert size < 30_000
    assert (cpu_s < 5, kept < 8e6) == (True, True), (cpu_s, kept)
