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
