"""A booted swarm of MatrixOS: reports arrive, an incident is opened, settings are pushed, kills survived."""

import base64
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Random import get_random_bytes
from Crypto.Signature import pkcs1_15
from matrixswarm.core.class_lib.logging.logger import Logger

from network_health.swarm import history_files
from tests.cli.command import run
from tests.matrixos.tree import MATRIX, BootedSwarm, MatrixOS, needs_tree
from tests.real_swarm.nodes import BUT_LOOPBACK, ROLE, caught, eventually, matrix, node, one_socket, order

needs_tree()
pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID, DETECTIVE, RECEIVER = "net-1", "forensic-1", "receiver-1"
LIMIT = 100
PHOENIX, OWN = RSA.generate(2048), RSA.generate(2048)
SIGNING = {"privkey": OWN.export_key().decode(), "remote_pubkey": PHOENIX.public_key().export_key().decode()}


def serves(uid, name, handler):
    """A node that has the role, with the handler that it names for it."""
    return node(uid, name, **{"service-manager": [{"role": [f"{ROLE}@{handler}"]}]})


DIRECTIVE = matrix(
    serves(DETECTIVE, "forensic_detective", "cmd_ingest_status_report"),
    serves(RECEIVER, "receiver", "cmd_catch"),
    node(
        UID,
        "network_health",
        check_interval_sec=2,
        conn_threshold=10**6,
        critical_after_checks=2,
        exclude_interfaces=BUT_LOOPBACK,
        history=True,
        security={"signing": SIGNING},
        priority={"default": 1},
        rpc_router_role="hive.rpc",
    ),
) | {"config": {"security": {"signing": SIGNING}}}


@pytest.fixture(scope="module")
def tree():
    """MatrixOS in ``/matrix``, with this project installed."""
    with MatrixOS():
        yield


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def swarm(request, tree):
    """A detective, another receiver with a handler of its own, and this agent."""
    with one_socket(), BootedSwarm(DIRECTIVE, encryption=request.param) as booted:
        eventually(lambda: reports(booted))
        yield booted


def reports(swarm):
    """The reports that the receiver got."""
    return caught(swarm, RECEIVER, UID)


def messages(swarm, uid):
    """The messages of a node's log."""
    key, lines = base64.b64decode(swarm.key), swarm.log(uid).splitlines()
    lines = [line if line.startswith("{") else Logger.decrypt_log_line(line, key) for line in lines]
    return [json.loads(line)["message"] for line in lines]


def said(swarm, uid, words):
    """The messages that have these words."""
    return [message for message in messages(swarm, uid) if words in message]


def push(swarm, **config):
    """What the operator's client sends: a command that it signs, passed on to matrix by a node."""
    inner = {"handler": "cmd_update_agent", "content": {"target_universal_id": UID, "config": config}}
    secret = get_random_bytes(32)
    cipher = AES.new(secret, AES.MODE_GCM)
    payload, tag = cipher.encrypt_and_digest(json.dumps(inner).encode())
    sealed = {
        "encrypted_key": PKCS1_OAEP.new(OWN).encrypt(secret),
        "payload": payload,
        "nonce": cipher.nonce,
        "tag": tag,
    }
    signed = {
        "timestamp": int(time.time()),
        "content": {name: base64.b64encode(value).decode() for name, value in sealed.items()},
    }
    digest = SHA256.new(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode())
    signed["sig"] = base64.b64encode(pkcs1_15.new(PHOENIX).sign(digest)).decode()
    content = {"universal_id": RECEIVER, "content": signed}
    packet = {"handler": "cmd_the_source", "content": content}
    order(swarm, RECEIVER, "matrix", "incoming", "standard.command.packet", packet)


def test_the_first_report_arrives_and_the_directive_has_no_mistake(swarm):
    """At both receivers, each by the handler that it names; keys of the framework are no unknown settings."""
    first = reports(swarm)[0]
    assert (first["status"], first["severity"]) == ("healthy", "INFO")
    assert "settings_errors" not in first["metrics"]
    assert said(swarm, UID, "Setting ") == []
    eventually(lambda: said(swarm, DETECTIVE, "Received 'INFO' report"))
    assert any((swarm.comm / UID / "hello.moto").glob("poke.worker.60.*"))


def test_a_signed_setting_is_applied(swarm):
    """It comes without the settings that do not change, and with a flag of the framework among them."""
    push(swarm, push_live_config=True, conn_threshold=LIMIT)
    (line,) = eventually(lambda: said(swarm, UID, "Live config "))
    assert line.split("] ")[-1].startswith(
        f"Live config applied: conn_threshold 1000000 -> {LIMIT} (pushed by "
    )


def test_a_breach_is_an_incident_and_its_end_is_reported(swarm):
    """WARNING, CRITICAL, recovery: at the receiver, at the detective, as an incident with our headline."""
    with contextlib.ExitStack() as opened:
        for _ in range(2 * LIMIT):
            opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", 0))
        eventually(lambda: reports(swarm)[-1]["severity"] == "CRITICAL")
    (path,) = eventually(
        lambda: list((swarm.comm / DETECTIVE / "summary").glob("*system.network-failure.json"))
    )
    headline = eventually(lambda: path.read_text() and json.loads(path.read_text())["full_forensic_report"])
    assert headline.startswith(f"{UID}: High connection count: ")
    eventually(lambda: "Recovered: connection count" in reports(swarm)[-1]["details"])
    severities = [severity for severity, _ in itertools.groupby(reports(swarm), lambda r: r["severity"])]
    assert severities == ["INFO", "WARNING", "CRITICAL", "INFO"]
    for severity in severities:
        assert said(swarm, DETECTIVE, f"Received '{severity}' report")


def test_a_command_is_refused(swarm):
    """The framework would call any method of the agent whose name begins with ``cmd_``."""
    order(swarm, RECEIVER, UID, "incoming", "standard.command.packet", {"handler": "cmd_x", "content": {}})
    eventually(lambda: said(swarm, UID, "Command refused: "))


def test_the_history_is_found(swarm):
    """Where MatrixOS keeps the folders of its nodes."""
    found = [file for file in history_files() if file.universe == swarm.universe]
    assert [(file.universal_id, file.path.parent) for file in found] == [
        (UID, (swarm.comm / UID / "queue").resolve())
    ]


@pytest.mark.slow
def test_the_commands_that_the_installation_prints(tree):
    """They boot the demo directive, make it warn, and leave nothing behind."""
    printed = run("install", MATRIX).stdout
    commands = printed[printed.index("# Boot") :]
    folder = os.path.dirname(sys.executable)
    done = subprocess.run(
        ["bash", "-c", commands],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert re.search(r"WARNING: High connection count: \d+ > 5000", done.stdout), done.stdout + done.stderr
    assert re.search(r"Recovered: connection count after \d+ s", done.stdout)
    assert list(MATRIX.glob("universes/*/network-health-demo")) == []
    assert subprocess.run(["pgrep", "-f", "job network-health-demo:"]).returncode == 1


@pytest.mark.slow
def test_a_kill_is_survived(swarm):
    """The framework starts the agent again, whose reports go on with the next number."""
    before, pid = reports(swarm)[-1]["metrics"]["report_id"], swarm.pid(UID)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: reports(swarm)[-1]["metrics"]["report_id"] > before and swarm.pid(UID) != pid, 180)
    ids = [report["metrics"]["report_id"] for report in reports(swarm)]
    numbers = [int(report_id.rsplit("-", 1)[1]) for report_id in ids]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
