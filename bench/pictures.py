"""Takes the pictures of the documentation, and the output of the demo: ``make pictures``, as root.

Both pictures are of one run, on a host made of network namespaces: real checks of real traffic. The live view
is drawn by its own code; the page is what a browser shows of the run's history. Only the names of the host
and of its programs are chosen here.
"""

from __future__ import annotations

import io
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURES, README = ROOT / "docs" / "pictures", ROOT / "README.md"
COMMAND = Path(sys.executable).parent / "network-health"
#: Around the output of the demo.
DEMO = ("<!-- demo -->\n```\n", "\n```\n<!-- /demo -->")
#: In the root folder of the host of the run, which is gone with it.
PROGRAMS = Path("/programs")
HOST, PEER = "10.0.0.7", "10.0.0.9"
WEB, BACKUP = (HOST, 8080), (PEER, 873)
HOST_NAME = "web-1"
#: A terminal of a usual size.
WIDTH, HEIGHT = 100, 24
HISTORY = PROGRAMS / f"{HOST_NAME}.sqlite"
#: Seconds from the first check to the picture of the live view, and to the end of the run.
PICTURE_S, END_S = 105.0, 420.0
#: When the backup runs, and when there are many clients.
BACKUP_S, CLIENTS_S = (60.0, 250.0), (80.0, 180.0)
FEW, MANY = 12, 80
SETTINGS = {
    "tx_threshold_mbps": 20,
    "conn_threshold": 60,
    "process_network": "always",
    "top_n_procs": 15,
    "exclude_interfaces": ["lo"],
    "check_interval_sec": 2,
    "history": str(HISTORY),
}


def main() -> None:
    """Each step runs on a host of its own."""
    PICTURES.mkdir(exist_ok=True)
    isolated = [sys.executable, "tests/isolated.py", sys.executable, "-m", "bench.pictures"]
    for step in ("network", "demo"):
        subprocess.run([*isolated, step], cwd=ROOT, check=True)
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")


def network() -> None:
    """Join the host and its peer by a link; the processes of the peer are not those of the host."""
    from tests.netns import Namespace, veth

    host, peer = Namespace(), Namespace()
    veth(host, peer, ("eth0", "eth0"), (f"{HOST}/24", f"{PEER}/24"))
    inside = ["ip", "netns", "exec"]
    alone = ["unshare", "--uts", "--pid", "--fork", "--mount", "--mount-proc"]
    others = [
        program("rsync", "take_backup", *inside, peer.name),
        program("clients", "be_clients", *inside, peer.name),
    ]
    status = program("network-health", "watch", *inside, host.name, *alone).wait()
    for other in others:
        other.kill()
    if status == 0:
        page()
    sys.exit(status)


def program(name: str, step: str, *before: str) -> subprocess.Popen[bytes]:
    """A process of that name that takes a step of this file: the kernel names it after a link to Python."""
    link = PROGRAMS / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(os.path.realpath(sys.executable))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.Popen([*before, link, "-m", "bench.pictures", step], env=environment)


def be_clients() -> None:
    """Ask the web server: a few clients, then many."""
    time.sleep(5)  # until the server listens
    started_s = time.monotonic()
    clients: list[socket.socket] = []
    while True:
        count = MANY if is_in(CLIENTS_S, time.monotonic() - started_s) else FEW
        clients += [socket.create_connection(WEB) for _ in range(count - len(clients))]
        while len(clients) > count:
            clients.pop().close()
        for client in clients:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            client.recv(65536)
        time.sleep(0.4)


def take_backup() -> None:
    """Read what is sent to the peer."""
    with socket.create_server(BACKUP) as server:
        while True:
            with server.accept()[0] as connection:
                while connection.recv(1 << 20):
                    pass


def send_backup() -> None:
    """26 Mbps."""
    with socket.create_connection(BACKUP) as connection:
        while True:
            connection.sendall(bytes(65536))
            time.sleep(0.02)


def serve() -> None:
    """A web server that answers each request with a small page."""
    with selectors.DefaultSelector() as selector, socket.create_server(WEB, backlog=MANY) as server:
        selector.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is server:
                    selector.register(server.accept()[0], selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    answer(selector, key.fileobj)


def answer(selector: selectors.BaseSelector, client: socket.socket) -> None:
    """A page for each request, until the client goes."""
    if client.recv(65536):
        client.sendall(bytes(600))
    else:
        selector.unregister(client)
        client.close()


def is_in(span: tuple[float, float], passed_s: float) -> bool:
    """Whether so many seconds after the begin are in this span."""
    return span[0] <= passed_s < span[1]


def watch() -> None:
    """What ``network-health watch`` shows of this host."""
    from network_health import Settings
    from network_health.cli.watch.checks import CheckThread
    from network_health.cli.watch.screen import Screen
    from network_health.cli.watch.state import State
    from network_health.cli.watch.theme import Theme
    from network_health.history import Recorder

    socket.sethostname(HOST_NAME)
    program("nginx", "serve")
    settings = Settings.from_mapping(SETTINGS)
    checks = CheckThread(settings, settings.check_interval_sec, lambda: None)
    checks.start()
    recorder = Recorder(PROGRAMS, settings, warn=sys.exit)
    state = State.initial(settings.check_interval_sec)
    shown: list[Text] = []
    started_s = time.monotonic()
    backup: subprocess.Popen[bytes] | None = None
    while (passed_s := time.monotonic() - started_s) < END_S:
        if is_in(BACKUP_S, passed_s) and backup is None:
            backup = program("backup", "send_backup")
        if passed_s > BACKUP_S[1] and backup:
            backup.kill()
        result = checks.results.get()
        if isinstance(result, BaseException):
            raise result
        recorder.add(result.report)
        state = state.after_check(result)
        if passed_s > PICTURE_S and not shown:
            shown = Screen(HOST_NAME, settings, Theme()).lines(state, WIDTH, HEIGHT)
    recorder.close()
    draw(shown)


def draw(lines: list[Text]) -> None:
    """The lines as a picture that loads nothing."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console

    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in lines:
        console.print(line, no_wrap=True, soft_wrap=False)
    form = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(PICTURES / "watch.svg"), title="network-health watch", code_format=form)


def page() -> None:
    """The page as a browser shows it first."""
    from tests.page.browser import chromium, tab

    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        html = Path(name) / "page.html"
        subprocess.run([COMMAND, "page", HISTORY.name, "--output", html], cwd=PROGRAMS, check=True)
        with tab(browser, 1100, 715) as shown:
            shown.open(html.as_uri())
            shown.page.screenshot(path=PICTURES / "page.png")


def demo() -> None:
    """What the demo writes, put into the README."""
    for command in (
        "netns add far",
        "link add eth0 type veth peer name eth0 netns far",
        "-n far link set eth0 up",
        "link set eth0 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    output = subprocess.run([COMMAND, "demo"], check=True, stdout=subprocess.PIPE, text=True).stdout
    text = README.read_text(encoding="utf-8")
    begin = text.index(DEMO[0]) + len(DEMO[0])
    README.write_text(text[:begin] + output.strip() + text[text.index(DEMO[1], begin) :], encoding="utf-8")


if __name__ == "__main__":
    globals()[sys.argv[1] if len(sys.argv) > 1 else "main"]()
