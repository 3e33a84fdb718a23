"""Decrypts a directive that ``matrixswarm-encrypt-directive`` has encrypted.

The file is JSON with ``nonce``, ``tag`` and ``ciphertext`` in Base64; see ``encrypt_directive.py`` of the
framework. With ``--clown-car`` it contains the sources of the agents, with ``--hash-bang`` their hashes.
"""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path

from network_health.swarm.errors import SwarmError
from network_health.swarm.untrusted_file import read_regular_file

_PARTS = ("nonce", "tag", "ciphertext")


def is_envelope(content: object) -> bool:
    """Whether the value of a JSON file is an encrypted directive."""
    return isinstance(content, dict) and content.keys() >= set(_PARTS)


def is_encrypted(data: bytes) -> bool:
    """Whether the content of a file is an encrypted directive."""
    try:
        return is_envelope(json.loads(data))
    except (ValueError, RecursionError):
        return False


def decrypted(path: Path, data: bytes, key: str) -> bytes:
    """The directive in the encrypted ``data``, as JSON; ``path`` is named in errors.

    Raises:
        SwarmError: the key is not the one of this file, or the file is damaged.
    """
    from matrixswarm.encrypt_directive import decrypt_data

    envelope = json.loads(data)
    try:
        nonce, tag, ciphertext = (base64.b64decode(envelope[part]) for part in _PARTS)
        return bytes(decrypt_data(nonce, tag, ciphertext, base64.b64decode(key)))
    except (ValueError, TypeError) as error:
        raise SwarmError(f"{path} cannot be decrypted with this key: {error}") from error


def encrypted_directives(workspace: Path) -> list[Path]:
    """The encrypted directives in ``boot_directives/``."""
    return [
        path for path in sorted((workspace / "boot_directives").glob("*.json")) if is_encrypted_file(path)
    ]


def is_encrypted_file(path: Path) -> bool:
    """Whether the file is an encrypted directive; whatever cannot be read is none."""
    try:
        return is_encrypted(read_regular_file(path))
    except SwarmError:
        return False


def encrypt_again(workspace: Path, encrypted: Path, tool: str = "matrixswarm-encrypt-directive") -> str:
    """The command that encrypts a directive again, with the agents that are in the workspace now.

    The tool embeds nothing, without a word, if it takes another folder for the workspace. It looks for a file
    ``.swarm`` in the current folder and above it first, then at ``MATRIXSWARM_PATH``.
    """
    plain = shlex.quote(str(encrypted.with_suffix(".py")))
    out = shlex.quote(str(encrypted))
    return (
        f"(cd / && MATRIXSWARM_PATH={shlex.quote(str(workspace))} {tool} --in {plain} --out {out} "
        "--clown-car --hash-bang)"
    )
