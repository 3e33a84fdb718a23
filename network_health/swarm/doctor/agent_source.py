"""Checks which agent source the nodes of a directive start with.

As in ``spawn_agent`` of the framework: the source in ``src_embed`` of the node, else the workspace's. If the
node has a ``hash_bang``, a source with another SHA-256 is not started.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from network_health.swarm.directive import AGENT, Node, unread_parts
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.encrypted_directive import encrypt_again, encrypted_directives
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import MATRIXOS, MATRIXSWARM, framework_at, framework_folder
from network_health.swarm.payload import payload_files
from network_health.swarm.untrusted_file import read_regular_file

_SUBJECT = "source"
_THIS = "this version"


def check_sources(tree: Sequence[Node], workspace: Path, path: Path) -> Iterator[Finding]:
    """Whether each node of the directive ``path`` starts, and each node of this agent with this version."""
    again = f"remove src_embed and hash_bang from the nodes of {path.name}"
    if path.suffix == ".json" and framework_at(workspace) is not MATRIXOS:
        again = f"encrypt it again: {encrypt_again(workspace, path)}"
    for node in tree:
        if node.src_embed is not None or node.hash_bang:
            yield _sealed(node, workspace, again)
        elif node.agent == AGENT and path.suffix == ".json":
            yield ok(
                _SUBJECT, f"{node.universal_id} runs the agent in the workspace: {path.name} has no source"
            )


def check_encrypted(workspace: Path, checked: Path | None) -> Iterator[Finding]:
    """Which encrypted directives of the workspace are not checked, as this needs their key."""
    others = [path for path in encrypted_directives(workspace) if path != checked]
    if others:
        names = ", ".join(path.name for path in others)
        how = "encrypted with --clown-car or --hash-bang"
        if framework_at(workspace) is MATRIXOS:
            how = "made with the source of the agent, or with its hash,"
        yield note(
            _SUBJECT,
            f"encrypted, so not checked: {names}. One that was {how} "
            "before this version was installed runs the old agent, or none",
            f"SWARM_KEY=KEY network-health doctor {shlex.quote(str(workspace))} --directive {others[0].name}",
        )


def _sealed(node: Node, workspace: Path, again: str) -> Finding:
    """The finding about a node with a source, or with the hash of one."""
    uid = node.universal_id
    if unread_parts([node.src_embed, node.hash_bang]):
        return note(_SUBJECT, f"{uid}: src_embed or hash_bang is computed, so it is not checked", again)
    try:
        return _started(node, source_of(node, workspace), again)
    except SwarmError as error:
        return fault(_SUBJECT, f"{uid} will not start: {error}", again)


def _started(node: Node, source: bytes, again: str) -> Finding:
    """Whether the swarm starts the node with this source, and which agent that is."""
    uid, place = node.universal_id, "the workspace" if node.src_embed is None else "the directive"
    hash_ = hashlib.sha256(source).hexdigest()
    version = _version(node, hash_)
    if node.hash_bang and node.hash_bang != hash_:
        wanted = _version(node, node.hash_bang)
        says = f"{uid} will not start: {place} has {version}, but the hash_bang is that of {wanted}"
        return fault(_SUBJECT, says, again)
    says = f"{uid} runs {version} of {node.agent}, from {place}"
    return fault(_SUBJECT, says, again) if node.agent == AGENT and version != _THIS else ok(_SUBJECT, says)


def source_of(node: Node, workspace: Path) -> bytes:
    """The source that the node starts with.

    Raises:
        SwarmError: there is none, or it cannot be read.
    """
    if node.src_embed is None:
        return read_regular_file(agents_folder(workspace) / node.agent / f"{node.agent}.py")
    if not isinstance(node.src_embed, (str, bytes)):
        raise SwarmError(f"its src_embed is not Base64, but of the type {type(node.src_embed).__name__}")
    try:
        return base64.b64decode(node.src_embed)
    except ValueError as error:
        raise SwarmError(f"its src_embed is not Base64: {error}") from error


def agents_folder(workspace: Path) -> Path:
    """The folder of the agents' sources."""
    return workspace / framework_at(workspace).agents


def _version(node: Node, hash_: object) -> str:
    if node.agent != AGENT:
        return "a version"
    return next((name for name, known in _hashes().items() if known == hash_), "another version")


def _hashes() -> dict[str, str]:
    """The hashes of the known sources of this agent."""
    file = f"{MATRIXSWARM.agent_folder}/{AGENT}.py"
    sources = {_THIS: payload_files()[file]}
    package = framework_folder()
    if package is not None:
        sources["the stock version"] = read_regular_file(package / file)
    return {name: hashlib.sha256(source).hexdigest() for name, source in sources.items()}
