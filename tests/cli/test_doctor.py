"""``network-health doctor`` through its real entry point: each problem is found."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import matrixswarm
import pytest

from network_health.swarm.doctor import checks, host
from network_health.swarm.doctor import python as doctor_python
from network_health.swarm.payload import framework_source, source
from tests.cli.command import at_a_terminal, run, run_here
from tests.rights import as_nobody

AGENT = "agent/network_health/network_health.py"
ROLE = '"service-manager": [{"role": ["hive.forensics.data_feed"]}]'
DETECTIVE = f'{{"universal_id": "d", "name": "forensic_detective", "config": {{{ROLE}}}}}'


def found(done):
    """The findings as (state, subject, says, do)."""
    lines = re.findall(r"^(ok|note|fault) +(\S+) +(.*)\n(?: +do: (.*)\n)?", done.stdout, re.MULTILINE)
    assert len(lines) == len(re.findall(r"^\S", done.stdout, re.MULTILINE))
    return lines


def faults(done):
    """The faults as (subject, says, do); the exit status has to agree."""
    wrong = [finding[1:] for finding in found(done) if finding[0] == "fault"]
    assert done.returncode == bool(wrong)
    return wrong


def examined(workspace, *children, run=run_here):
    """The doctor's check of a directive with these nodes."""
    text = (
        f'import os\nmatrix_directive = {{"universal_id": "matrix", "children": [{", ".join(children)}]}}\n'
    )
    path = workspace / "boot_directives" / "mine.py"
    path.write_text(text)
    return run("doctor", workspace, "--directive", "mine")


def agent(config="{}", uid="n"):
    """A node of this agent."""
    return f'{{"universal_id": "{uid}", "name": "network_health", "config": {config}}}'


def test_no_fault(installed):
    """A fresh workspace with the demo directive has no fault, and every part is checked."""
    done = run("doctor", installed, "--directive", "network_health_demo")
    assert faults(done) == []
    subjects = [finding[1] for finding in found(done)]
    assert subjects == [
        *("library", "workspace", "agent", "boot", "settings", "handler", "history", "rights"),
        *("interfaces", "connections", "processes", "protocols"),
        *("containers", "bpf", "forwarding", "/matrix"),
    ]


def test_each_fault_says_what_to_do(tmp_path):
    """Without a workspace there is one fault with its remedy; the host is checked all the same."""
    done = run_here("doctor", tmp_path)
    ((subject, says, do),) = faults(done)
    assert subject == "workspace"
    assert "is not a MatrixSwarm workspace" in says
    assert do == "make one with `matrixswarm-boot --init`, or name another: network-health doctor WORKSPACE"
    assert "rights" in [finding[1] for finding in found(done)]


def test_without_a_directive_the_doctor_lists_them(installed):
    """The list has the directives with a node of this agent, also those of the framework."""
    note = next(finding for finding in found(run_here("doctor", installed)) if finding[1] == "directive")
    assert note[0] == "note"
    assert "network_health_demo, network_health_recommended, network_health_reference" in note[3]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda agent: agent.write_text("# mine"), f"{AGENT} has another version, or was changed"),
        (Path.unlink, f"{AGENT} is missing"),
        (
            lambda agent: agent.with_name("__init__.py").touch(),
            "__init__.py hides the library from the agent",
        ),
    ],
)
def test_the_agents_file(workspace, spoil, says):
    """Missing, changed or hidden: the fault goes away when its advice is followed."""
    spoil(workspace / AGENT)
    ((subject, said, do),) = faults(run_here("doctor", workspace))
    assert subject == "agent"
    assert said.endswith(says)
    assert do == f"network-health install {workspace}"
    assert run_here(*do.split()[1:]).returncode == 0
    assert faults(run_here("doctor", workspace)) == []


@pytest.mark.parametrize(
    ("children", "subject", "says", "do"),
    [
        ([DETECTIVE], "directive", "no node of mine.py runs network_health", "add {"),
        (
            [DETECTIVE, agent('{"conn_threshold": "x"}')],
            *(
                "settings",
                "n: conn_threshold: 'x' is not allowed, so the default is used",
                "give a number of connections from",
            ),
        ),
        (
            [DETECTIVE, agent('{"conn_treshold": 5}')],
            *(
                "settings",
                "n: 'conn_treshold': unknown setting, so it has no",
                "did you mean conn_threshold?",
            ),
        ),
        (
            [DETECTIVE, agent(), '{"universal_id": "x", "name": "blank", "config": None}'],
            *("config", 'x has "config": None: no child node of the swarm will', 'write "config": {} in x'),
        ),
        (
            [DETECTIVE, agent(), '{"universal_id": "x", "name": "blank", "config": {"service-manager": {}}}'],
            *("config", "x has a service-manager that is not a list", 'write "service-manager": [{'),
        ),
        (
            [DETECTIVE, agent(), agent(uid="d")],
            "config",
            "2 nodes have the universal_id d",
            "give each node its own",
        ),
        (
            [DETECTIVE, agent('{"report_to_role": "hive.other"}')],
            *(
                "reports",
                "no node has the role 'hive.other': no report of n will be delivered",
                '"role": ["hive.other"]',
            ),
        ),
        (
            [agent(f"{{{ROLE}}}")],
            "reports",
            "no node has the role 'hive.forensics.data_feed'",
            "add to the config",
        ),
        (
            [DETECTIVE, agent('{"report_handler": "cmd_eat"}')],
            *("handler", "d (forensic_detective) has no handler cmd_eat", "(cmd_ingest_status_report, "),
        ),
        (
            [f'{{"universal_id": "d", "name": "absent", "config": {{{ROLE}}}}}', agent()],
            *("handler", "the source of d cannot be read", "put the agent absent into"),
        ),
    ],
)
def test_faults_of_a_directive(installed, children, subject, says, do):
    """Each gives one fault, with the node and what to write instead."""
    wrong = [fault for fault in faults(examined(installed, *children)) if fault[0] == subject]
    assert len(wrong) == 1
    assert wrong[0][1].startswith(says)
    assert do in wrong[0][2]


def test_every_error_of_the_settings(installed):
    """Each error has its own line."""
    config = '{"conn_threshold": "x", "top_n_procs": -1, "rx_treshold_mbps": 1}'
    wrong = faults(examined(installed, DETECTIVE, agent(config)))
    assert [subject for subject, _, _ in wrong] == ["settings"] * 3


def test_a_detective_without_the_role_is_enough(installed):
    """The agent then sends to the nodes that run it: that is a note, not a fault."""
    done = examined(installed, '{"universal_id": "d", "name": "forensic_detective_bp_night"}', agent())
    assert faults(done) == []
    note = next(finding for finding in found(done) if finding[1] == "reports")
    assert "30 s after the start reports are sent to d" in note[2]


@pytest.mark.parametrize(
    ("role", "is_found"),
    [
        ('["hive.forensics.data_feed@cmd"]', False),
        ('["a, hive.forensics.data_feed"]', True),
        ('"hive.forensics.data_feed"', False),
        ("[5, None]", False),
        ("[os.getenv('ROLE')]", False),
    ],
)
def test_roles_are_read_as_the_framework_reads_them(installed, role, is_found):
    """A list of names, or of names with commas; the framework splits a bare string into letters."""
    config = f'{{"service-manager": [{{"role": {role}}}]}}'
    done = examined(installed, f'{{"universal_id": "w", "name": "worker", "config": {config}}}', agent())
    subjects = {subject for subject, _, _ in faults(done)}
    assert subjects == ({"handler"} if is_found else {"reports"})


def test_a_handler_in_a_factory_is_found(workspace):
    """The framework also loads commands from the agent's factory folder."""
    factory = workspace / "agent/forensic_detective/factory/cmd_eat.py"
    factory.write_text("def attach(agent, packet): pass\n")
    done = examined(workspace, DETECTIVE, agent('{"report_handler": "cmd_eat"}'))
    assert faults(done) == []


def test_computed_settings_are_noted(installed):
    """A computed setting is noted as unchecked, and nothing is run."""
    done = examined(installed, DETECTIVE, agent('{"conn_threshold": int(os.getenv("X")), "top_n_procs": -1}'))
    assert [says for _, says, _ in faults(done)] == [
        "n: top_n_procs: -1 is not allowed, so the default is used"
    ]
    assert "line 2, int(os.getenv('X'))" in done.stdout


def test_how_a_directive_boots(installed):
    """A directive of the framework boots as plain text; one of the workspace is encrypted: no remark."""
    own = next(Path(matrixswarm.__file__).parent.joinpath("boot_directives").glob("gatekeeper-demo.py"))
    first = {f[1]: f for f in found(run_here("doctor", installed, "--directive", own.stem))}["boot"]
    assert first[0] == "ok"
    done = run_here("doctor", installed, "--directive", "network_health_demo")
    second = {f[1]: f for f in found(done)}["boot"]
    assert second[:3] == ("ok", "boot", "network_health_demo boots encrypted, as a swarm should")
    assert "matrixswarm-encrypt-directive" in second[3]


@pytest.mark.parametrize("name", ["absent", "../../../etc/passwd", "/dev/zero", ".", "x\ny"])
def test_a_directive_that_cannot_be_read(installed, name):
    """The fault lists the directives that can be read."""
    wrong = faults(run_here("doctor", installed, "--directive", name))
    assert wrong[0][0] == "directive"
    assert "network_health_demo" in wrong[0][2]


def test_the_library_is_searched_in_the_swarms_python(tmp_path):
    """If that Python lacks it, the fault has the pip command of that Python."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    finding = checks.check_library(bare / "bin" / "python")
    assert finding.state == "fault"
    assert "No module named" in finding.says
    assert finding.do == f"{bare}/bin/python -m pip install {framework_source()}"
    assert Path(source(), "pyproject.toml").is_file()  # this is a checkout: its name alone would not do
    assert checks.check_library(tmp_path / "none").state == "fault"


@pytest.mark.parametrize(
    ("head", "python"),
    [
        ("#!/opt/swarm/bin/python3.11\n", "/opt/swarm/bin/python3.11"),
        (
            "#!/bin/sh\n'''exec' \"/opt/my swarm/bin/python\" \"$0\" \"$@\"\n' '''\n",
            "/opt/my swarm/bin/python",
        ),
        ("#!/usr/bin/env python3\n", shutil.which("python3")),
        ("#!/usr/bin/env bash\nexec pyenv\n", sys.executable),
        ("", sys.executable),
        ("#!/opt/it's/python\n", sys.executable),
    ],
)
def test_the_swarms_python_is_the_launchers(tmp_path, monkeypatch, head, python):
    """It is named in the launcher's first line, in each form that installers write."""
    path = tmp_path / "matrixswarm-boot"
    path.write_text(head)
    monkeypatch.setattr(doctor_python, "launcher", lambda name: path)
    assert str(doctor_python.swarm_python()) == python


@pytest.mark.parametrize("config", ["[1, 2]", '"abc"', "5"])
def test_a_config_that_is_not_a_mapping(installed, config):
    """A fault, not "all settings are valid"."""
    wrong = faults(examined(installed, DETECTIVE, agent(config)))
    assert [(subject, do) for subject, _, do in wrong] == [("settings", "give a block of settings")]


def test_a_relative_path(installed, tmp_path, monkeypatch):
    """The printed boot command has the absolute path, and boots nothing without a key."""
    name = "network_health_demo"
    shutil.copy(installed / "boot_directives" / f"{name}.py", tmp_path / "here.py")
    monkeypatch.chdir(tmp_path)
    for word in ("here.py", "./here.py"):
        done = run_here("doctor", installed, "--directive", word)
        assert faults(done) == []
        command = {f[1]: f for f in found(done)}["boot"][3]
        assert f"--in {tmp_path}/here.py --out {tmp_path}/here.json) && matrixswarm-boot" in command


@pytest.mark.parametrize(
    ("value", "reason"), [("5", ", but of the type int"), ("'abc'", ": Incorrect padding")]
)
def test_a_source_that_cannot_be_decoded(workspace, value, reason):
    """The node will not start, and the doctor says why."""
    node = agent().replace('"config"', f'"src_embed": {value}, "config"')
    says = [says for subject, says, _ in faults(examined(workspace, DETECTIVE, node)) if subject == "source"]
    assert says == [f"n will not start: its src_embed is not Base64{reason}"]


def test_a_pipe_among_the_directives_is_ignored(workspace):
    """The doctor does not wait for it."""
    os.mkfifo(workspace / "boot_directives" / "pipe.py")
    began = time.monotonic()
    assert faults(run_here("doctor", workspace)) == []
    assert time.monotonic() - began < 4


@pytest.mark.root
def test_folders_that_this_user_cannot_read(workspace, tmp_path):
    """In such a folder, and with a directive that names another one, every part is still checked."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    workspace.chmod(0o755)
    for folder in (workspace, *workspace.parents):
        folder.chmod(folder.stat().st_mode | 0o055)
    closed.chmod(0o700)
    config = f'{{"prometheus_textfile": "{closed}/sub/x.prom"}}'
    examined(workspace, DETECTIVE, agent(config))
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--")
    if subprocess.run([*nobody, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("another user cannot run this Python: it is in a folder of root")
    done = run("doctor", workspace, "--directive", "mine", prefix=nobody, cwd=closed, HOME="/nonexistent")
    assert done.returncode == 1
    assert found(done)[-1][1] == "/matrix"
    assert "cannot be checked: Permission denied" in done.stdout
    done = run("doctor", prefix=nobody, cwd=closed, HOME="/nonexistent")
    assert [f[1] for f in found(done)][-1] == "/matrix"
    assert "no .swarm file here or above" in done.stdout


@pytest.mark.root
def test_rights_that_do_not_reach_every_process(monkeypatch, tmp_path):
    """Root in a container that has all capabilities but cannot read a process: a note."""
    monkeypatch.setattr(host, "_is_closed", lambda folder: True)
    (tmp_path / "status").write_text("CapEff: 80004")
    finding = host.check_rights(tmp_path / "status")
    assert (finding.state, "but /proc/1/fd cannot be read" in finding.says) == ("note", True)


@pytest.mark.root
def test_rights(tmp_path, monkeypatch):
    """Root sees everything; another user gets a note that says what is not seen and how to change it."""
    monkeypatch.setattr(
        host, "_INIT_DESCRIPTORS", Path("/proc/self/fd")
    )  # process 1 of this host may be closed even to root
    assert host.check_rights().state == "ok"
    said = as_nobody(host.check_rights)
    assert "state='note'" in said
    assert "CAP_SYS_PTRACE" in said
    assert host.check_rights(tmp_path / "none").state == "note"
    for capabilities, state in (("80000", "note"), ("4", "note"), ("80004", "ok")):
        (tmp_path / "status").write_text(f"CapEff: {capabilities}")
        assert host.check_rights(tmp_path / "status").state == state


@pytest.mark.root
def test_the_folder_of_the_swarms_state(tmp_path):
    """The folder exists, can be made, or cannot be made by this user, which is a fault."""
    assert host.check_matrix(tmp_path / "matrix").state == "ok"
    (tmp_path / "matrix").mkdir()
    assert host.check_matrix(tmp_path / "matrix").state == "ok"
    for root in (Path("/usr"), Path("/root/hidden"), Path("/nowhere")):
        said = as_nobody(lambda root=root: host.check_matrix(root))
        assert "state='fault'" in said, said
        assert f"install -d -m 0700 -o $USER {root}" in said


@pytest.mark.root
def test_a_kernel_that_refuses(installed):
    """Without /proc no reader of processes works, which is a fault; the other readers are not affected."""
    blind = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"')
    states = {finding[1]: finding[0] for finding in found(run("doctor", installed, prefix=blind))}
    assert (states["interfaces"], states["processes"], states["rights"]) == ("ok", "fault", "note")
    assert states["protocols"] == "note"


def test_colours_at_a_terminal_only(installed):
    """NO_COLOR and a pipe turn them off."""
    assert "\x1b[31mfault" in at_a_terminal("doctor", "/nowhere")[1]
    assert "\x1b[" not in at_a_terminal("doctor", "/nowhere", NO_COLOR="1")[1]
    assert "\x1b[" not in run("doctor", installed).stdout
