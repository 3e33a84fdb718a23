"""Reads the recordings in ``tests/fixtures``; see ``record.py`` there."""

import json

from tests.tree import FIXTURES


def datagrams(name):
    """The datagrams of one netlink answer."""
    return [bytes.fromhex(line) for line in (FIXTURES / f"{name}.hex").read_text().splitlines()]


def text(name):
    """A file of /proc, as text."""
    return (FIXTURES / name).read_text()


def raw(name):
    """A file of /proc, as bytes."""
    return (FIXTURES / name).read_bytes()


def expected(name):
    """The values of another tool at the moment of the recording."""
    return json.loads((FIXTURES / f"{name}.json").read_text())


def parsed(parse, empty, *recordings):
    """The result of ``parse`` for complete answers; each must end with its last datagram."""
    for recording in recordings:
        ends = [parse(datagram, empty) for datagram in datagrams(recording)]
        assert ends == [False] * (len(ends) - 1) + [True]
    return empty
