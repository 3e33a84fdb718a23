"""Finding interpreters: what is not there is said."""

import os
import sys

import pytest

from tests.packaging import pythons


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
