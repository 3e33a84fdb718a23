"""The values of other tools at the same moment (``ss``, ``ip``, psutil), with the names of the model."""

import json
import subprocess
import time
from collections import Counter

import psutil

#: The number of attempts while the values change.
ATTEMPTS = 20

SS_STATES = {
    "ESTAB": "ESTABLISHED",
    "SYN-SENT": "SYN_SENT",
    "SYN-RECV": "SYN_RECV",
    "FIN-WAIT-1": "FIN_WAIT1",
    "FIN-WAIT-2": "FIN_WAIT2",
    "TIME-WAIT": "TIME_WAIT",
    "UNCONN": "CLOSE",
    "CLOSE-WAIT": "CLOSE_WAIT",
    "LAST-ACK": "LAST_ACK",
    "LISTEN": "LISTEN",
    "CLOSING": "CLOSING",
}


def at_one_moment(referee, reading):
    """Run ``referee`` before and after ``reading``; both results, from a moment without changes."""
    for _ in range(ATTEMPTS):
        before = referee()
        read = reading()
        if referee() == before:
            return read, before
        time.sleep(0.05)
    raise AssertionError(f"still changing after {ATTEMPTS} attempts: {before}")


def sockets():
    """Sockets by state, from ``ss``."""
    states = Counter()
    for line in _output("ss", "-Htuna").splitlines():
        kind, state = line.split()[:2]
        states["NONE" if kind == "udp" else SS_STATES[state]] += 1
    return dict(states)


def sockets_of_psutil():
    """Sockets by state, from psutil."""
    return dict(Counter(connection.status for connection in psutil.net_connections(kind="inet")))


def links():
    """Interfaces by name, from ``ip``: the fields of `model.Link` that it has."""
    found = {}
    for link in json.loads(_output("ip", "-j", "-d", "-s", "-s", "address", "show")):
        of_family = {
            family: [a["local"] for a in link["addr_info"] if a["family"] == family]
            for family in ("inet", "inet6")
        }
        rx, tx = link["stats64"]["rx"], link["stats64"]["tx"]
        found[link["ifname"]] = {
            "index": link["ifindex"],
            "up": "UP" in link["flags"] and "NO-CARRIER" not in link["flags"],
            "ipv4": of_family["inet"],
            "ipv6": of_family["inet6"],
            "mtu": link["mtu"],
            "kind": link.get("linkinfo", {}).get("info_kind", ""),
            "operstate": link["operstate"].lower(),
            "carrier_changes": tx["carrier_changes"],
            "counters": {
                "tx_bytes": tx["bytes"],
                "rx_bytes": rx["bytes"],
                "tx_packets": tx["packets"],
                "rx_packets": rx["packets"],
                "tx_errors": tx["errors"],
                "rx_errors": rx["errors"],
                "tx_drops": tx["dropped"],
                "rx_drops": rx["dropped"] + rx["missed_errors"],
                "rx_missed": rx["missed_errors"],
            },
        }
    return found


def process(of):
    """One process, from psutil."""
    with of.oneshot():
        io = of.io_counters()
        return {
            "pid": of.pid,
            "name": of.name(),
            "cpu_s": round(of.cpu_times().user + of.cpu_times().system, 2),
            "user": of.username(),
            "read_bytes": io.read_bytes,
            "write_bytes": io.write_bytes,
        }


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
