"""Checks whether an agent could export its metrics to Prometheus as its settings say.

Guarantees: no file is written. A port is checked by binding it for a moment, without listening.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from network_health.export import socket_address
from network_health.settings import Settings
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.doctor.own_file_path import check_file

_SUBJECT = "prometheus"
_ANSWER_S = 2.0
_MOST_BYTES = 65536
_AGENTS_METRIC = b"\nnetwork_health_build_info{"


def check_export(uid: str, settings: Settings) -> Iterator[Finding]:
    """Findings about file and port of an agent; none without export."""
    path, address = settings.prometheus_textfile, settings.prometheus_listen
    if path is not None:
        yield check_file(_SUBJECT, uid, "prometheus_textfile", Path(path))
    if address is not None:
        yield _port(uid, address)
        if not ipaddress.ip_address(socket_address(address)[1][0]).is_loopback:
            says = f"{uid}: anyone who can reach {address} can read the metrics: no password, no encryption"
            do = "let a firewall admit only Prometheus, or set prometheus_listen to 127.0.0.1"
            yield note(_SUBJECT, says, do)


def _port(uid: str, address: str) -> Finding:
    family, where = socket_address(address)
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_ours(address):
            return ok(_SUBJECT, f"{uid}: {address} is already served by a running agent")
        if error.errno == errno.EADDRINUSE:
            do = f"ss -ltnp 'sport = :{where[1]}' shows who uses it; stop that, or change prometheus_listen"
        else:
            do = "set prometheus_listen to an address of this host and a port that this user may open"
        return fault(_SUBJECT, f"{uid}: {address} cannot be listened on: {error.strerror}", do)
    return ok(_SUBJECT, f"{uid}: {address} is free")


def _is_ours(address: str) -> bool:
    """Whether an agent already serves its metrics there; takes at most `_ANSWER_S`."""
    until_s, answer = time.monotonic() + _ANSWER_S, b""
    family, where = socket_address(address)
    try:
        with socket.socket(family) as client:
            client.settimeout(_ANSWER_S)
            client.connect(where)
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            while len(answer) < _MOST_BYTES and (left_s := until_s - time.monotonic()) > 0:
                client.settimeout(left_s)
                part = client.recv(_MOST_BYTES)
                answer += part
                if not part or _AGENTS_METRIC in answer:
                    break
    except OSError:
        pass
    return _AGENTS_METRIC in answer
