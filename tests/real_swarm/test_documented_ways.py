"""What the pages say is done: a mail for an incident, a log and a live setting in an encrypted swarm."""

import ast
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from network_health.swarm.booting import Swarm, launcher
from tests.real_swarm.nodes import BUT_LOOPBACK, eventually, matrix, one_socket
from tests.tree import ROOT

pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID = "net-health-web-1"


def documented(page, name):
    """The block of code on a page."""
    text = (ROOT / "docs" / page).read_text()
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- /{name} -->", text, re.DOTALL)[1]


class MailServer:
    """Takes one mail after the other, over TLS from the first byte; any password is right."""

    def __init__(self, certificate, key):
        self.mails = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                with self.context.wrap_socket(self.listener.accept()[0], server_side=True) as client:
                    self.take(client.makefile("rwb", buffering=0))

    def take(self, stream):
        answers = {b"EHLO": b"250-here\r\n250 AUTH PLAIN", b"AUTH": b"235 ok", b"DATA": b"354 go on"}
        stream.write(b"220 here\r\n")
        for line in stream:
            verb = line.split()[0].upper()
            stream.write(answers.get(verb, b"250 ok") + b"\r\n")
            if verb == b"DATA":
                self.mails.append(b"".join(iter(stream.readline, b".\r\n")).decode())
                stream.write(b"250 ok\r\n")
            elif verb == b"QUIT":
                return


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory):
    """A server with a certificate that nobody has signed."""
    key, certificate = (tmp_path_factory.mktemp("mail") / name for name in ("key", "certificate"))
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=mail.example.org -keyout"
    subprocess.run([*command.split(), key, "-out", certificate], check=True, capture_output=True)
    server = MailServer(certificate, key)
    yield server
    server.listener.close()


@pytest.fixture(scope="module")
def swarm(mail_server):
    """The nodes of the pages, encrypted; the mail server is another, and the agent checks more often."""
    if sys.version_info >= (3, 13):
        pytest.skip("this Python refuses the certificates of matrixswarm-gencerts, which have no key usage")
    nodes = ast.literal_eval(f"[{documented('notify.md', 'mail')}{documented('operations.md', 'https')}]")
    config = {node["universal_id"]: node["config"] for node in nodes}
    host, port = mail_server.listener.getsockname()
    config["mail-1"] |= {"smtp_host": host, "smtp_port": port}
    config[UID] |= {"check_interval_sec": 3, "conn_threshold": 10**6, "exclude_interfaces": BUT_LOOPBACK}
    with one_socket(), Swarm(matrix(*nodes)) as booted:
        # The node retries every ten seconds until there are certificates.
        run(booted, documented("operations.md", "certificates"))
        eventually(lambda: "initialized" in log(booted))
        yield booted


def run(swarm, script):
    """The output of a script of a page."""
    script = script.replace("~/.matrixswarm", str(swarm.workspace)).replace("net-health-1", UID)
    environment = os.environ | {
        "HOME": str(swarm.home),
        "PATH": f"{launcher('matrixswarm-gencerts').parent}:{os.environ['PATH']}",
    }
    options = {"cwd": swarm.home, "env": environment, "capture_output": True, "text": True, "timeout": 60}
    return subprocess.run(["bash", "-c", script], **options).stdout


def log(swarm):
    return run(swarm, documented("operations.md", "log-command"))


def push(swarm, config):
    """The command of the page with another config."""
    function = documented("operations.md", "log-command").rpartition("swarm '")[0]
    command = documented("operations.md", "push").replace('{"conn_threshold": 2000}', json.dumps(config))
    answer = json.loads(run(swarm, function + command))
    assert answer == {"message": "cmd_update_agent routed to Matrix", "status": "ok"}


def test_a_log_is_read_a_setting_is_pushed_and_a_mail_is_sent(swarm, mail_server):
    """Each by its command: the pushed limit is in the log, and its breach is an incident and a mail."""
    assert (swarm.comm / UID / "logs" / "agent.log").read_bytes().count(b"{") == 0
    push(swarm, {"conn_threshold": 0, "critical_after_checks": 1})
    eventually(lambda: "Live config applied: conn_threshold 1000000 -> 0" in log(swarm))
    (mail,) = eventually(lambda: mail_server.mails)
    assert "Subject: Forensic Analysis Report" in mail
    assert "To: on-call@example.org" in mail
    assert f"{UID}: High connection count:" in mail
    push(swarm, {"conn_threshold": 10**6})
    eventually(lambda: "conn_threshold 0 -> 1000000" in log(swarm))
    eventually(lambda: "Ended: connection count after" in log(swarm))


def test_an_incident_is_plain_text(swarm):
    """Also in an encrypted swarm, and readable by everyone who may enter the folder."""
    (path,) = eventually(lambda: list((swarm.comm / "forensic-1" / "summary").glob("*.json")))
    assert path.stat().st_mode & 0o777 == 0o644
    cause = json.loads(path.read_text())["full_forensic_report"].splitlines()[0]
    assert cause.startswith(f"{UID}: High connection count:")
