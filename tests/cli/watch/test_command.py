"""``network-health watch`` through its real entry point, on a real terminal of the kernel."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from network_health.cli.main import build_parser
from network_health.cli.parser import commands
from tests.cli.command import NETWORK_HEALTH, run
from tests.cli.watch.screen import LiveScreen, watching
from tests.netns import veth

QUICK = ("--seconds", "0.5")
HIGH_LIMITS = ("--conn-threshold", 10**9, "--tx-threshold-mbps", 10**6, "--rx-threshold-mbps", 10**6)
#: (how the view takes a terminal over, how it restores it).
SWITCHES = ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[?7l", b"\x1b[?7h"))


def is_restored(live):
    """Whether the normal screen, the cursor and line wrapping are restored."""
    return all(-1 < live.written.rfind(on) < live.written.rfind(off) for on, off in SWITCHES)


def has_tables(text):
    """Whether the tables of a report are shown."""
    return "Connections" in text and "Processes by CPU" in text


def patched(code):
    """A command that runs this code before the command, so that it can change what a check does."""
    return (
        sys.executable,
        "-c",
        code + "\nfrom network_health.cli.main import main\nsys.exit(main(sys.argv[1:]))",
    )


def test_interpreters_have_the_names_of_their_scripts(tmp_path):
    """The view has the scripts of two busy interpreters, and nothing else of their command lines."""
    busy = []
    try:
        for name in ("worker.py", "other.py"):
            (tmp_path / name).write_text("while True: pass\n")
            busy.append(subprocess.Popen([sys.executable, tmp_path / name, "--token", "SECRET"]))
        with watching(*HIGH_LIMITS, *QUICK, columns=200, lines=50) as live:
            for child, name in zip(busy, ("worker.py", "other.py"), strict=True):
                live.until(lambda text, row=rf"python\S* {name} +{child.pid} ": re.search(row, text))
            assert b"SECRET" not in live.written
            assert b"token" not in live.written
            live.press("q")
            assert live.end() == 0
    finally:
        for child in busy:
            child.kill()
            child.wait()


def test_this_host_and_a_key_to_quit():
    """Interfaces, connections by state and processes; ``q`` restores the terminal."""
    with socket.create_server(("127.0.0.1", 0)), watching(*HIGH_LIMITS) as live:
        modes = live.modes
        text = live.until(has_tables)
        assert text.startswith((" OK ", " WARNING "))
        assert re.search(r"^Interface +out Mbps +of 1e\+06, last 4 min +in Mbps", text, re.MULTILINE)
        assert re.search(r"^Connections +\d+ .*\n.*\bLISTEN \d", text, re.MULTILINE)
        assert re.search(
            r"^Processes by CPU .*(\n\S.* +\d+  \S+ +\d+\.\d +\d+\.\d\b.*){5}", text, re.MULTILINE
        )
        assert live.modes != modes
        live.press("q")
        assert live.end() == 0
        assert live.modes == modes
        assert is_restored(live)


def test_a_breach_is_at_the_top_with_its_culprit():
    """The alert with its culprit, and its age, which grows."""
    with socket.create_server(("127.0.0.1", 0)), watching(*QUICK, "--conn-threshold", 0, lines=50) as live:
        lately = r"^\d\d:\d\d:\d\d WARNING: High connection count: \d+ > 0\b"
        text = live.until(lambda text: re.search(lately, text, re.MULTILINE))
        assert text.startswith(" WARNING ")
        assert re.search(r"^! +\ds High connection count: \d+ > 0 \(", text, re.MULTILINE)
        assert re.search(r"^Connections +\d+! ", text, re.MULTILINE)
        live.until(lambda text: re.search(r"^! +[2-9]s High", text, re.MULTILINE))


def test_keys():
    """Order of processes and interfaces, pause, and arrows, which do nothing."""
    with watching(*QUICK, *HIGH_LIMITS) as live:
        live.until(has_tables)
        live.press("m")
        text = live.until(lambda text: "Processes by memory" in text)
        rows = re.findall(
            r"^\S.* \d+  \S+ +[\d.]+ +([\d.]+)\b", text.partition("Processes by memory")[2], re.MULTILINE
        )
        assert len(rows) >= 5
        assert rows[:5] == sorted(rows[:5], key=float, reverse=True)
        live.press("n")
        live.until(lambda text: -1 < text.find("Processes by network") < text.find("Processes by CPU"))
        live.press("\x1b[A\x1bOP\x1bi")
        live.press("i")
        live.until(lambda text: "interfaces: i busiest" in text)
        live.press("p")
        paused = live.until(lambda text: " PAUSED " in text and "p go on" in text)
        live.read(1.5)
        assert live.text == paused
        live.press("P")
        live.until(lambda text: " PAUSED " not in text and text != paused)
        live.press("Q")
        assert live.end() == 0


def test_ctrl_l_redraws_the_screen():
    """What another program wrote on the screen is gone after Ctrl-L."""
    with watching("--seconds", 60, *HIGH_LIMITS) as live:
        text = live.until(has_tables)
        live._stream.feed(b"\x1b[5;1HBroadcast message from root\x1b[2J")
        live.press("\x0c")
        live.until(lambda now: now == text)


@pytest.mark.parametrize("size", [(80, 1), (10, 3), (1, 1), (2, 50), (300, 100), (40, 12)])
def test_resized(size):
    """At any size the alert comes first; back at 80x24 everything is shown again."""
    limits = ("--conn-threshold", 0, *HIGH_LIMITS[2:])
    with socket.create_server(("127.0.0.1", 0)), watching(*QUICK, *limits) as live:
        live.until(lambda text: "High connection" in text and has_tables(text))
        live.resize(*size)
        live.read(1.2)
        live.until(lambda text: text.startswith("!") if min(size) < 4 else "High" in text)
        live.resize(80, 24)
        live.until(lambda text: "High connection" in text and has_tables(text))
        live.press("q")
        assert live.end() == 0


def test_a_tiny_terminal():
    """The terminal is too small from the beginning, or does not know its size."""
    for columns, lines in ((1, 1), (0, 0)):
        with watching(*QUICK, columns=columns or 80, lines=lines or 24) as live:
            live.resize(columns, lines) if columns else live.resize(80, 24)
            live.read(2)
            live.press("q")
            assert live.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_ended_by_a_signal(number):
    """The terminal is restored, and the status is that of the signal."""
    with watching(*QUICK) as live:
        modes = live.modes
        live.until(has_tables)
        assert live.modes != modes
        live.send(number)
        assert live.end() == -number
        assert live.modes == modes
        assert is_restored(live)


def test_ctrl_c_quits():
    """Ctrl-C ends the view with status 0, as ``q`` does."""
    with watching(*QUICK) as live:
        live.until(has_tables)
        live.press("\x03")
        assert live.end() == 0
        assert is_restored(live)
        assert b"stopped" not in live.written


def test_stopped_and_continued_by_the_shell():
    """Ctrl-Z restores the screen of the shell, ``fg`` shows the view again."""
    shell = ("bash", "--norc", "--noprofile", "-i")
    with LiveScreen(*shell, PS1="$ ", HISTFILE="/dev/null") as live:
        live.press(f"{NETWORK_HEALTH} watch --seconds 0.5\n")
        live.until(has_tables)
        live.press("\x1a")
        live.until(lambda _: b"Stopped" in live.written)
        assert is_restored(live)
        # The screen of pyte has no alternate screen, so the view is still on it.
        live.press("clear; echo $((6 * 7)) is the answer\n")
        live.until(lambda text: re.search(r"^42 is the answer$", text, re.MULTILINE))
        switched = live.written.count(SWITCHES[0][0])
        live.press("fg\n")
        live.until(lambda text: live.written.count(SWITCHES[0][0]) > switched and has_tables(text))
        live.press("q")
        live.until(lambda _: is_restored(live))
        live.press("stty -a | grep -c ' icanon'; exit $?\n")
        assert live.end() == 0


def test_started_in_the_background():
    """It stops as other commands do, continues in the foreground, and can be killed."""
    with LiveScreen("bash", "--norc", "--noprofile", "-i", PS1="$ ", HISTFILE="/dev/null") as live:
        for ending in ("fg\n", "kill %1; fg\n"):
            live.press(f"clear; {NETWORK_HEALTH} watch --seconds 0.5 &\n")
            live.until(lambda text: "Stopped" in text or (live.press("\n"), False)[1])
            live.press(ending)
            if ending == "fg\n":
                live.until(has_tables)
                live.press("q")
                live.until(lambda _: is_restored(live))
        live.until(lambda text: "Terminated" in text or (live.press("\n"), False)[1])
        live.press("exit 7\n")
        assert live.end() == 7
        assert b"Traceback" not in live.written


def test_the_process_ends_with_its_terminal():
    """When the connection is lost the process ends."""
    live = watching(*QUICK)
    with live:
        live.until(has_tables)
        os.close(live.terminal)
        live.terminal = os.open(os.devnull, os.O_RDONLY)
        assert os.waitpid(live.pid, 0)[1] != 0
        live.status = 1


def test_a_terminal_that_accepts_no_output():
    """After Ctrl-S a signal still ends the view."""
    with watching(*QUICK) as live:
        modes = live.modes
        live.until(has_tables)
        live.press("\x13")
        live.read(1.2)
        live.send(signal.SIGTERM)
        assert live.end() == -signal.SIGTERM
        assert live.modes == modes


def test_a_check_that_hangs():
    """The head shows how long the check has had no answer, and keys still work."""
    hangs = (
        "import sys, time\nfrom network_health import Monitor\nMonitor.check = lambda self: time.sleep(1000)"
    )
    with LiveScreen(*patched(hangs), "watch", *QUICK) as live:
        live.until(lambda text: "no answer for 4s" in text)
        live.press("q")
        assert live.end() == 0
        assert is_restored(live)


def test_an_unexpected_error():
    """It ends the view, and its message appears on the restored terminal."""
    fails = "import sys\nfrom network_health import Monitor\nMonitor.check = lambda self: 1 / 0"
    with LiveScreen(*patched(fails), "watch", *QUICK) as live:
        modes = live.modes
        assert live.end() == 1
        assert live.modes == modes
        assert is_restored(live)
        assert live.written.rindex(b"ZeroDivisionError") > live.written.rindex(b"\x1b[?1049l")


def test_names_with_control_characters(tmp_path):
    """The name of a process is shown without control characters, and is not read as markup."""
    name = b"[red]\x1b[2Jx\x07"
    spin = f"open('/proc/self/comm', 'wb').write({name!r})\nwhile True: pass"
    busy = subprocess.Popen([sys.executable, "-c", spin])
    try:
        with watching(*QUICK, "--top-n-procs", 20) as live:
            live.until(lambda text: "[red]?[2Jx?" in text)
            assert b"\x07" not in live.written
    finally:
        busy.kill()
        busy.wait()


def test_no_colour_and_no_blocks():
    """With NO_COLOR there is no colour; an encoding without blocks gets ASCII."""
    terminal = {"NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}
    words = (*QUICK, "--conn-threshold", 0)
    with socket.create_server(("127.0.0.1", 0)), watching(*words, **terminal) as live:
        text = live.until(lambda text: "High connection" in text and has_tables(text))
        assert text.isascii()
        assert re.search(r"^Connections +\d+! +# ", text, re.MULTILINE)
        assert not re.search(rb"\x1b\[[\d;]*\b(3\d|4\d|9\d|10\d)\b[\d;]*m", live.written)


def test_input_that_is_not_a_terminal():
    """The view works without keys, and says so."""
    with LiveScreen("sh", "-c", f"exec {NETWORK_HEALTH} watch </dev/null") as live:
        live.until(lambda text: has_tables(text) and "no keys: the input is not a terminal" in text)
        live.press("\x03")
        assert live.end() == 0


@pytest.mark.parametrize(
    ("words", "variables", "status", "sentence"),
    [
        ((), {}, 1, "stdout is not a terminal; `network-health check` prints one check"),
        (
            ("--seconds", "x"),
            {},
            2,
            "--seconds: 'x' is not allowed; give a number of seconds from 0.1 to 3600",
        ),
        (("--prometheus-listen", "127.0.0.1:1"), {}, 2, "--prometheus-listen: unknown option"),
        (("--conn-treshold", "5"), {}, 2, "--conn-treshold: unknown option; did you mean --conn-threshold?"),
    ],
)
def test_errors_of_the_command_line(words, variables, status, sentence):
    """Each is one sentence and an exit status."""
    done = run("watch", *words, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"network-health watch: {sentence}\n")


def test_a_dumb_terminal():
    """TERM=dumb is an error."""
    with watching(TERM="dumb") as live:
        assert live.end() == 1
        assert live.text.startswith("network-health watch: TERM names no terminal to draw on;")


def test_without_a_thread():
    """Where the system starts no thread, the command says so, and leaves the terminal as it is."""
    refused = (
        "import sys, threading\ndef start(_): raise RuntimeError('no thread')\nthreading.Thread.start = start"
    )
    with LiveScreen(*patched(refused), "watch", *QUICK) as live:
        assert live.end() == 1
        assert live.text.replace("\n", "") == (
            "network-health: the system cannot start a thread, which the view needs: no thread"
        )
        assert b"\x1b" not in live.written


@pytest.fixture
def without_rich(tmp_path):
    """An environment in which rich cannot be imported."""
    blocker = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "rich":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""
    Path(tmp_path, "sitecustomize.py").write_text(blocker)
    return {"PYTHONPATH": str(tmp_path)}


def test_without_rich(without_rich):
    """The command says which extra to install; everything else works."""
    with watching(**without_rich) as live:
        assert live.end() == 1
        assert "pip install 'matrixswarm-network-health[cli]'" in live.text.replace("\n", "")
        assert b"\x1b" not in live.written
    assert "watch" in run("--help", **without_rich).stdout
    assert "watch" in run("completion", "bash", **without_rich).stdout
    assert run("watch", "--help", **without_rich).returncode == 0
    module = (sys.executable, "-m", "network_health.cli.reference")
    page = subprocess.run(module, env=os.environ | without_rich, capture_output=True, text=True, check=True)
    assert "## network-health watch" in page.stdout


def test_the_parser_does_not_import_rich():
    """The subcommand is listed without it."""
    assert "watch" in commands(build_parser())
    code = "import sys, network_health.cli.main as m; m.build_parser(); print('rich' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


SEND = """
import socket, time
connection = socket.create_connection(("10.77.0.2", 7700))
for _ in range(300):
    connection.sendall(bytes(62500))
    time.sleep(0.1)
"""
RECEIVE = """
import socket
connection = socket.create_server(("10.77.0.2", 7700)).accept()[0]
while connection.recv(65536):
    pass
"""


@pytest.mark.root
def test_real_traffic(namespace):
    """About 5 Mbps over a veth: the rate over its limit, its sparkline, and the process that sends."""
    here, there = namespace(), namespace()
    veth(here, there)
    inside = [("ip", "netns", "exec", each.name, sys.executable, "-c") for each in (there, here)]
    receiver = subprocess.Popen([*inside[0], RECEIVE])
    try:
        list_listeners = ("ip", "netns", "exec", there.name, "ss", "-Htln")
        while "7700" not in subprocess.check_output(list_listeners, text=True):
            pass
        sender = subprocess.Popen([*inside[1], SEND])
        try:
            prefix = ("ip", "netns", "exec", here.name)
            limits = ("--tx-threshold-mbps", 1, "--rx-threshold-mbps", 100)
            with watching("--seconds", 1, *limits, prefix=prefix) as live:
                text = live.until(
                    lambda text: (
                        re.search(r"^va +[3-7]\.\d\d! +█+ +0\.\d\d +▂", text, re.MULTILINE)
                        and re.search(rf"^python\S* +{sender.pid} .* [3-7]\.\d\d +0\.00", text, re.MULTILINE)
                    )
                )
                assert re.search(
                    rf"va outbound .* Mbps > 1 Mbps \(\d+% by python\S*\[{sender.pid}\] to", text
                )
                assert text.index("va  ") < text.index("lo  ")
        finally:
            sender.kill()
            sender.wait()
    finally:
        receiver.kill()
        receiver.wait()
