"""Packets in the agent's config folder."""

import os

import pytest

from network_health.swarm.config_folder import ConfigFolder


@pytest.fixture
def path(tmp_path):
    """An empty config folder."""
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


def test_a_packet_is_announced_once(path):
    """Until another one comes."""
    folder = ConfigFolder(path)
    assert not folder.has_news()
    (path / "a.json").touch()
    assert [folder.has_news(), folder.has_news()] == [True, False]
    (path / "b.json").touch()
    os.utime(path, ns=(1, 1))
    assert folder.has_news()


def test_other_files_and_no_folder_are_no_packet(tmp_path, path):
    """The framework reads only ``*.json``."""
    (path / "half-written.tmp").touch()
    assert not ConfigFolder(path).has_news()
    assert not ConfigFolder(tmp_path / "missing").has_news()


def test_a_packet_that_the_framework_dropped_is_rejected_once(path):
    """It was announced, it is gone, and ``worker`` got nothing."""
    folder = ConfigFolder(path)
    assert not folder.was_rejected()
    (path / "a.json").touch()
    folder.has_news()
    (path / "a.json").unlink()
    assert [folder.was_rejected(), folder.was_rejected()] == [True, False]


def test_a_packet_that_is_still_there_is_not_rejected(path):
    """It was only being written when the framework looked."""
    folder = ConfigFolder(path)
    (path / "a.json").touch()
    folder.has_news()
    assert not folder.was_rejected()


def test_an_accepted_packet_is_not_rejected_later(path):
    """The call with the config closes it."""
    folder = ConfigFolder(path)
    (path / "a.json").touch()
    folder.has_news()
    (path / "a.json").unlink()
    folder.was_accepted()
    assert not folder.was_rejected()
