"""``network-health page --serve``: the command as a server, with a browser or curl as its client."""

import re
import signal
import socket
import subprocess
from contextlib import contextmanager

import pytest

from tests.cli.command import ENVIRONMENT, NETWORK_HEALTH, run
from tests.history import fabricated
from tests.page import browser as browsers
from tests.page.browser import needs_browser


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Two hours of checks."""
    return fabricated.record(tmp_path_factory.mktemp("history") / "history.sqlite", 2 * fabricated.HOUR_S)


@contextmanager
def serving(history, address):
    """The command while it serves: its process and the address of the page."""
    command = [NETWORK_HEALTH, "page", history, *fabricated.RANGE, "--serve", address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"serving the page at (http://\S+/) until Ctrl-C\n", line)
            assert found, (line, process.stderr.read())
            yield process, found[1]
        finally:
            process.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@needs_browser
def test_a_browser_shows_the_served_page(browser, history):
    """It asks for the page alone, and has nothing to complain about."""
    with serving(history, f":{free_port()}") as (_, address), browsers.tab(browser) as tab:
        assert address.startswith("http://127.0.0.1:")
        tab.open(address)
        tab.see_all()
        assert [plot["title"] for plot in tab.drawn() if not plot["ink"]] == []
        assert (tab.requests, tab.complaints) == ([address], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once(history, number):
    """Ctrl-C is its normal end; with neither signal anything is written."""
    with serving(history, f":{free_port()}") as (process, _):
        process.send_signal(number)
        output = process.communicate(timeout=60)
    assert (process.returncode, *output) == (0 if number == signal.SIGINT else -number, "", "")


def test_a_port_in_use(history):
    """One sentence names the address."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run("page", history, *fabricated.RANGE, "--serve", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"network-health: cannot listen on {address}: Address already in use\n"


@pytest.mark.parametrize(
    "address", ["", "8080", "example.com:80", "127.0.0.1", "127.0.0.1:0", "1.2.3.4:99999", "::1:80", "*:80"]
)
def test_an_invalid_address(history, address):
    """It is refused with what is allowed; a name is none, nothing is looked up."""
    done = run("page", history, "--serve", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"network-health: --serve: {address!r} is not allowed; give "
        '"HOST:PORT" with an IP address of this host, or ":PORT" for 127.0.0.1\n'
    )


def test_an_address_of_another_host(history):
    """One sentence names it."""
    done = run("page", history, *fabricated.RANGE, "--serve", "192.0.2.1:8080")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "network-health: cannot listen on 192.0.2.1:8080: Cannot assign requested address\n"


def test_a_history_that_ends_while_it_is_served(tmp_path):
    """What is wrong is shown to the browser, and the server goes on."""
    path = fabricated.record(tmp_path / "history.sqlite", 600)
    with serving(path, f":{free_port()}") as (_, address):
        path.unlink()
        command = ["curl", "-s", "-m", "60", "--retry", "0", "-w", "%{http_code}", address]
        answer = ""
        while not answer.endswith("503"):  # the page that was made first is served for some seconds
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
            assert answer.endswith(("200", "503"))
        assert f"{path}: there is no history" in answer
