"""The agent notices packets in its config folder."""

import os

import pytest

from network_health.swarm.config_folder import ConfigFolder


@pytest.fixture
def path(tmp_path):
    """An empty config folder."""
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


def test_each_packet_is_new_once(path):
    """A packet is new until it was asked for once; then the next one is."""
    folder = ConfigFolder(path)
    assert not folder.has_new_packet()
    (path / "a.json").touch()
    assert [folder.has_new_packet(), folder.has_new_packet()] == [True, False]
    (path / "b.json").touch()
    os.utime(path, ns=(1, 1))
    assert folder.has_new_packet()


def test_other_files_and_a_missing_folder_are_no_packet(tmp_path, path):
    """Only ``*.json`` counts, as in the framework."""
    (path / "half-written.tmp").touch()
    assert not ConfigFolder(path).has_new_packet()
    assert not ConfigFolder(tmp_path / "missing").has_new_packet()


def test_a_packet_that_the_framework_dropped_is_rejected_once(path):
    """It was seen, it is gone, and ``worker`` got no config."""
    folder = ConfigFolder(path)
    assert not folder.was_rejected()
    (path / "a.json").touch()
    folder.has_new_packet()
    (path / "a.json").unlink()
    assert [folder.was_rejected(), folder.was_rejected()] == [True, False]


def test_a_packet_that_is_still_there_is_not_rejected(path):
    """It was not complete when the framework read the folder."""
    folder = ConfigFolder(path)
    (path / "a.json").touch()
    folder.has_new_packet()
    assert not folder.was_rejected()


def test_an_accepted_packet_is_not_rejected_later(path):
    """A call of ``worker`` with a config means that it was accepted."""
    folder = ConfigFolder(path)
    (path / "a.json").touch()
    folder.has_new_packet()
    (path / "a.json").unlink()
    folder.was_accepted()
    assert not folder.was_rejected()
