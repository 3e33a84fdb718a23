"""Finding interpreters: what is not there is said."""

import os
import subprocess
import sys
from unittest.mock import Mock

import pytest

from tests.packaging import pythons
from tests.tree import ROOT


def test_the_python_of_this_run_is_found():
    """Whatever else a machine lacks, it has the one that runs the tests."""
    version = "{}.{}".format(*sys.version_info)
    assert os.path.samefile(pythons.python(version), sys.executable)


def test_one_that_cannot_be_had_is_said():
    """A sentence with the version, and why uv could not fetch it: it is not skipped in silence."""
    with pytest.raises(
        pythons.NotToBeHadError, match=r"no Python 3\.99 on this machine, and uv could not .+: .+"
    ):
        pythons.python("3.99")


def test_a_target_runs_with_each_python_in_an_environment_of_its_own(monkeypatch, capfd):
    """After one that fails the next one has its turn; the summary names both, and the status is 1."""
    monkeypatch.chdir(ROOT)
    run, here = subprocess.run, "{}.{}".format(*sys.version_info)
    other = next(version for version in pythons.VERSIONS if version != here)
    monkeypatch.setattr(pythons, "python", lambda version: sys.executable if version == here else "/none")
    monkeypatch.setattr(pythons.subprocess, "run", lambda command, **_: run([*command, "-n"], check=False))
    assert pythons.main("no-such-target", here, other) == 1
    assert pythons.main("no-swarm", here) == 0
    said = capfd.readouterr().out
    assert said.count("FAILED (2) in 0.0 min") == 2
    assert f"make no-swarm, by Python\n{here}: passed in 0.0 min with {sys.executable}\n" in said
    assert f"build/python{here}/bin/python -m pytest" in said


def test_before_a_missing_python_none_is_tested(monkeypatch, capsys):
    """It is named, and the status is 1: an hour of tests first would hide it."""

    def find(version):
        if version == "3.99":
            raise pythons.NotToBeHadError("there is no Python 3.99")
        return sys.executable

    monkeypatch.setattr(pythons, "python", find)
    monkeypatch.setattr(pythons.subprocess, "run", Mock(side_effect=AssertionError))
    assert pythons.main("test", "3.10", "3.99") == 1
    assert capsys.readouterr().out == "make test, by Python\n3.99: NOT TESTED: there is no Python 3.99\n"
