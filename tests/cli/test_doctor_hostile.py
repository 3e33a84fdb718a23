"""``network-health doctor`` in a workspace whose files another user has shaped: each is one finding."""

import os
from functools import partial

import pytest

from network_health.swarm.encrypted_directive import directive_files
from network_health.swarm.errors import SwarmError
from network_health.swarm.python_source import MAX_BYTES, parse_source
from network_health.swarm.workspace import Workspace
from tests.cli.command import run
from tests.cli.test_doctor import AGENT, ROLE, agent, examined, faults, found

MEMORY_BYTES = 512 << 20


def text(content):
    """A file with this content."""
    return lambda path: path.write_text(content)


def sparse(path):
    """A file of 10 GB that needs no space."""
    path.touch()
    os.truncate(path, 10 << 30)


#: How a file is made, and what the doctor says about it.
HOSTILE = {
    "signs": (text("-" * 100_000 + "1"), "is not Python that can be read: it is nested too deeply"),
    "parentheses": (text("(" * 100_000), "is not Python: too many nested parentheses, line 1"),
    "statements": (text("if 1:\n pass\n" + "elif 1:\n pass\n" * 15_000), "it is nested too deeply"),
    "pipe": (os.mkfifo, "is not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "sparse": (sparse, "is larger than 8 MiB, the limit"),
    "large": (text("#" * (MAX_BYTES + 1)), "is larger than 256 KiB, the limit for Python"),
}


#: The doctor fails if it reads an endless file.
run_short_of_memory = partial(run, prefix=("prlimit", f"--as={MEMORY_BYTES}"))


def test_hostile_sources_of_receivers(workspace):
    """Each source of a receiver gives one fault that says why, and all parts are checked to the last one."""
    for name, (make, _) in HOSTILE.items():
        (workspace / "agent" / name).mkdir()
        make(workspace / "agent" / name / f"{name}.py")
    receivers = [f'{{"universal_id": "{n}", "name": "{n}", "config": {{{ROLE}}}}}' for n in HOSTILE]
    done = examined(workspace, *receivers, agent(), run=run_short_of_memory)
    said = [says for subject, says, _ in faults(done) if subject == "handler"]
    folder = workspace / "agent"
    assert [line.partition(" cannot be read: ")[0] for line in said] == [
        f"the source of {name}" for name in HOSTILE
    ]
    for line, (name, (_, says)) in zip(said, HOSTILE.items(), strict=True):
        assert line.partition(" cannot be read: ")[2].startswith(f"{folder}/{name}/{name}.py ")
        assert line.endswith(says)
    assert found(done)[-1][1] == "/matrix"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (sparse, "has another version, or was changed"),
    ],
    ids=["pipe", "device", "sparse"],
)
def test_hostile_files_in_place_of_the_agent(workspace, make, says):
    """Such a file is a fault that says so, and the doctor goes on to the last line."""
    (workspace / AGENT).unlink()
    make(workspace / AGENT)
    done = run_short_of_memory("doctor", workspace)
    ((subject, said, do),) = faults(done)
    assert (subject, said, do) == ("agent", f"{AGENT} {says}", f"network-health install {workspace}")
    assert found(done)[-1][1] == "/matrix"


def test_hostile_directives(workspace):
    """A directive that cannot be parsed is one fault; among the others it is passed over."""
    folder = workspace / "boot_directives"
    for name, (make, _) in HOSTILE.items():
        make(folder / f"hostile_{name}.py")
    listing = [
        finding for finding in found(run_short_of_memory("doctor", workspace)) if finding[1] == "directive"
    ]
    assert [state for state, *_ in listing] == ["note"]
    assert "hostile" not in listing[0][3]
    done = run_short_of_memory("doctor", workspace, "--directive", "hostile_signs")
    assert [subject for subject, *_ in faults(done)] == ["directive"]
    assert found(done)[-1][1] == "/matrix"


@pytest.mark.parametrize(
    "source", ["x = a" + ".b" * 50_000, "x = a" + "()" * 50_000, "1" + "+1" * 100_000, "not " * 60_000 + "1"]
)
def test_a_deep_source_is_parsed_or_refused(tmp_path, source):
    """A chain of 50,000 attributes or calls is parsed, or refused as too deep, as this Python can."""
    try:
        outcome = len(parse_source(tmp_path / "x.py", source.encode()).body)
    except SwarmError as error:
        outcome = str(error)
    assert outcome in {1, f"{tmp_path}/x.py is not Python that can be read: it is nested too deeply"}


def test_names_that_stand_for_billions_of_values(workspace):
    """Names that are used twice in the values of other names are one fault, and are passed over in a list."""
    names = "".join(f"a{i} = [a{i - 1}, a{i - 1}]\n" for i in range(1, 40))
    path = workspace / "boot_directives" / "names.py"
    path.write_text(f"a0 = 1\n{names}matrix_directive = {{'universal_id': a39}}\n")
    done = run("doctor", workspace, "--directive", "names")
    assert [(subject, said) for subject, said, _ in faults(done)] == [
        ("directive", f"{path} is not Python that can be read: its names stand for more than 262144 values")
    ]
    assert found(done)[-1][1] == "/matrix"


def test_of_very_many_directives_the_first_are_read(tmp_path):
    """There can be as many files as somebody puts there: the first 100 by name are enough."""
    for number in range(150):
        (tmp_path / f"{number:03}.json").symlink_to("x")
    assert directive_files(tmp_path, ".json") == [tmp_path / f"{number:03}.json" for number in range(100)]


def test_a_device_in_place_of_the_map_is_not_opened(workspace):
    """Opening some devices has an effect, as of a watchdog; the map that the framework needs is no device."""
    (workspace / ".matrix").unlink()
    (workspace / ".matrix").symlink_to("/dev/full")
    with pytest.raises(SwarmError, match=r"\.matrix is not a regular file"):
        Workspace.at(workspace)
