"""``check --config``: JSON, TOML, and directives, which are read but not run."""

import contextlib
import json
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network_health.cli.config import read_config
from network_health.cli.nagios import UNKNOWN
from network_health.settings import Settings
from network_health.swarm.errors import SwarmError
from tests.cli.command import run
from tests.examples import examples

QUICK = ("--seconds", "0.1", "--nagios")
DIRECTIVE = """
import os
from dotenv import load_dotenv
load_dotenv()
open({trap!r}, "w").close()
LIMIT = 77
NOISY = ["lo", "veth*"]
matrix_directive = {{
    "universal_id": "matrix", "name": "matrix", "token": os.getenv("TOKEN"),
    "children": [
        {{"universal_id": "net-health-1", "name": "network_health", "config": {{
            "conn_threshold": LIMIT, "exclude_interfaces": NOISY, "service-manager": []}}}},
        {{"universal_id": "discord", "name": "discord_relay", "config": {{"token": os.getenv("DISCORD")}},
         "children": [{{"universal_id": "net-health-2", "name": "network_health_bp_small",
                       "config": {{"conn_threshold": -1 + 89, "top_n_procs": int(os.getenv("MAX", 5))}}}}]}},
    ],
}}
"""


def written(path, text):
    """Write a file; returns its path."""
    path.write_text(text)
    return path


def settings_of(path, universal_id=None):
    """The settings in a file without errors."""
    outcome, names, errors = read_config(path, universal_id)
    assert names >= {"conn_threshold"}
    assert errors == ()
    return outcome.settings


def error_of(path, universal_id=None):
    """The message for a file that cannot be read."""
    with pytest.raises(SwarmError) as error:
        read_config(path, universal_id)
    return str(error.value)


@pytest.fixture
def directive(tmp_path):
    """A directive that creates the file ``was-run`` when it is run."""
    return written(tmp_path / "mine.py", DIRECTIVE.format(trap=str(tmp_path / "was-run")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"conn_threshold": 77, "exclude_interfaces": ["lo", "veth*"]}'),
        ("without-suffix", '{"conn_threshold": 77.0, "exclude_interfaces": ["lo", "veth*"]}'),
        ("a.toml", 'conn_threshold = 77\nexclude_interfaces = ["lo", "veth*"]\n'),
        (
            "directive.json",
            '{"universal_id": "matrix", "children": [{"universal_id": "n", "name": "network_health", '
            '"config": {"conn_threshold": 77, "exclude_interfaces": ["lo", "veth*"]}}]}',
        ),
    ],
)
def test_each_kind_of_file(tmp_path, name, text):
    """JSON, TOML and a directive in JSON give the same settings."""
    settings = settings_of(written(tmp_path / name, text))
    assert settings == Settings(conn_threshold=77, exclude_interfaces=("lo", "veth*"))


def test_a_directive_is_read_and_not_run(directive, tmp_path):
    """Constants are resolved, computed values of other nodes do not matter, and nothing is executed."""
    assert settings_of(directive, "net-health-1") == Settings(
        conn_threshold=77, exclude_interfaces=("lo", "veth*")
    )
    done = run("check", *QUICK, "--config", directive, "--universal-id", "net-health-1")
    assert "'connections'=" in done.stdout
    assert ";77;" in done.stdout
    assert not (tmp_path / "was-run").exists()


def test_a_computed_setting_is_an_error(directive):
    """The message has the line and the text of each computed setting of the node."""
    assert error_of(directive, "net-health-2").endswith(
        "settings of net-health-2 cannot be read without running it: line 15, -1 + 89; "
        "line 15, int(os.getenv('MAX', 5))"
    )


def test_the_node_has_to_be_unambiguous(directive, tmp_path):
    """With several nodes one has to be named, and the message lists them."""
    assert "choose one of net-health-1, net-health-2 with --universal-id" in error_of(directive)
    assert "no node 'x' that runs network_health: it has net-health-1, net-health-2" in error_of(
        directive, "x"
    )
    empty = written(tmp_path / "empty.py", 'matrix_directive = {"universal_id": "matrix"}')
    assert error_of(empty).endswith("has no node that runs network_health")
    assert "leave --universal-id out" in error_of(written(tmp_path / "a.json", "{}"), "x")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("matrix_directive = {}\nmatrix_directive['x'] = 1", "line 2, matrix_directive is used by code"),
        ("a = []\na.append(1)\nmatrix_directive = {'children': a}", "has no node"),
        ("matrix_directive = {}\nmatrix_directive = {'x': 1}", "assigned more than once"),
        (
            "matrix_directive = dict(universal_id='x')",
            "without running the file: line 1, dict(universal_id='x')",
        ),
        ("def f(:\n", "is not Python: "),
        ("matrix_directive = matrix_directive", "used by code"),
        ("x = 1", "has no matrix_directive"),
        ("matrix_directive = 5", "has no matrix_directive"),
        ("matrix_directive = " + "{'children': [" * 90 + "]}" * 90, "has no node"),
        ("matrix_directive = " + "-" * 100_000 + "1", "is not Python"),
        ("matrix_directive = " + "1+" * 50_000 + "1", ""),
        ("matrix_directive = {**x}", "cannot be read without running the file"),
        ("\0", "source code string cannot contain null bytes"),
        ("matrix_directive = {'x': 1, 'x': 2}", "'x' is given twice, the second time in line 1"),
    ],
)
def test_a_directive_that_cannot_be_read(tmp_path, text, why):
    """The message says why and names the file."""
    path = written(tmp_path / "mine.py", text)
    assert why in error_of(path)
    assert str(path) in error_of(path)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "{", "is not JSON: "),
        ("a.json", "[" * 100_000, "is not JSON that can be read: it is nested too deeply"),
        ("a.json", " \n", "is empty"),
        (
            "a.json",
            f'{{"top_n_procs": {"9" * 5000}}}',
            "is not JSON that can be read: a number in it is too long",
        ),
        (
            "a.conf",
            "top_n_procs = 1",
            "is not JSON: Expecting value: line 1 column 1 (char 0) (a TOML file must",
        ),
        ("a.json", '{"nonce": "", "tag": "", "ciphertext": ""}', "is encrypted"),
        ("a.toml", "= 1", "is not TOML: "),
        ("a.toml", "a = " + "[" * 100_000, "is not TOML: "),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, name, text, why):
    """The message says why and names the file."""
    path = written(tmp_path / name, text)
    assert error_of(path).startswith(f"{path} {why}")


@pytest.mark.parametrize("name", ["a.json", "a.toml", "a.py"])
def test_a_key_that_is_given_twice(tmp_path, name):
    """A duplicate key is an error in all three kinds of file."""
    twice = '{"conn_threshold": 1, "conn_threshold": 2}'
    node = f'{{"universal_id": "n", "name": "network_health", "config": {twice}}}'
    texts = {
        "a.json": twice,
        "a.toml": "conn_threshold = 1\nconn_threshold = 2",
        "a.py": f"matrix_directive = {node}",
    }
    error = error_of(written(tmp_path / name, texts[name]))
    assert re.search("twice|overwrite", error), error


def test_of_two_nodes_with_one_id_the_first_counts(tmp_path):
    """The framework drops the second one, too."""
    node = '{{"universal_id": "n", "name": "network_health", "config": {{"conn_threshold": {0}}}}}'
    text = f"matrix_directive = {{'children': [{node.format(11)}, {node.format(22)}]}}"
    outcome, _, errors = read_config(written(tmp_path / "a.py", text), None)
    assert (outcome.settings.conn_threshold, errors) == (11, ())


def test_toml_without_a_parser(tmp_path, monkeypatch):
    """Before Python 3.11 the message says what to install."""
    for module in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, module, None)
    path = written(tmp_path / "a.toml", "")
    assert error_of(path) == (
        f"{path}: TOML needs Python 3.11, or `{sys.executable} -m pip install "
        "'matrixswarm-network-health[cli]'`; "
        "or give the settings as JSON"
    )


@pytest.mark.parametrize("path", ["/", "/dev/zero", "/nowhere", ""])
def test_paths_that_are_not_files_of_settings(path):
    """A folder, an endless file, a missing file: one message each."""
    done = run("check", "--config", path)
    assert done.returncode == UNKNOWN
    assert done.stderr.startswith("network-health check: ")
    assert done.stderr.count("\n") == 1


def test_errors_of_file_and_flags_are_reported_together(tmp_path):
    """An invalid value, an unknown key and an invalid flag: three messages."""
    path = written(tmp_path / "a.json", json.dumps({"conn_threshold": "x", "conn_treshold": 5, "role": []}))
    done = run("check", "--config", path, "--tx-threshold-mbps", "fast")
    assert done.returncode == UNKNOWN
    assert [
        line.partition(": ")[2].replace(f"{path}: ", "").split(":")[0] for line in done.stderr.splitlines()
    ] == ["conn_threshold", "'conn_treshold'", "--tx-threshold-mbps"]


def test_a_flag_overrides_the_file(tmp_path):
    """The file has 5 and 6, the flag is 7: the limits are 7 and 6."""
    path = written(tmp_path / "a.json", '{"conn_threshold": 5, "tx_threshold_mbps": 6}')
    line = run("check", *QUICK, "--config", path, "--conn-threshold", "7").stdout
    assert "'lo_tx_mbps'=" in line
    assert ";6;" in line.partition("'lo_tx_mbps'=")[2].split(" ")[0]
    assert ";7;" in line.partition("'connections'=")[2].split(" ")[0]


@given(data=st.binary(max_size=200), suffix=st.sampled_from([".json", ".toml", ".py", ""]))
@settings(
    max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_bytes_are_settings_or_an_error(tmp_path, data, suffix):
    """No content of a file raises anything else than `SwarmError`."""
    path = Path(tmp_path, f"any{suffix}")
    path.write_bytes(data)
    with contextlib.suppress(SwarmError):
        read_config(path, None)


@pytest.mark.parametrize("command", [("check", "--config"), ("doctor", "--directive")])
def test_a_pipe_without_a_writer(tmp_path, command):
    """The command waits for it only a few seconds."""
    os.mkfifo(tmp_path / "pipe.json")
    done = run(*command, tmp_path / "pipe.json")
    assert done.returncode in {1, UNKNOWN}
    if command[0] == "check":
        assert "pipe.json cannot be read: it is not a regular file, and did not end within 5 s" in done.stderr


def test_a_pipe_is_a_file():
    """A shell makes one for ``<(command)``."""
    script = 'exec "$0" "$@" --config <(echo {\\"conn_threshold\\": 4321})'
    done = run("check", *QUICK, prefix=("bash", "-c", script))
    assert ";4321;" in done.stdout
