"""Decrypts a directive that ``matrixswarm-encrypt-directive``, or a client of MatrixOS, has encrypted.

The file is JSON with ``nonce``, ``tag`` and ``ciphertext`` of AES-GCM in Base64; see ``encrypt_directive.py``
of MatrixSwarm. With ``--clown-car`` it contains the sources of the agents, with ``--hash-bang`` their hashes.
"""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path

from network_health.swarm.errors import SwarmError
from network_health.swarm.untrusted_file import read_regular_file

_PARTS = ("nonce", "tag", "ciphertext")
#: A file may take a second to read, and there can be as many as somebody puts there.
_MOST_FILES = 100


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
    try:
        from Crypto.Cipher import AES
    except ImportError as error:
        raise SwarmError(f"{path} is encrypted; to decrypt it, install pycryptodome") from error
    envelope = json.loads(data)
    try:
        nonce, tag, ciphertext = (base64.b64decode(envelope[part]) for part in _PARTS)
        cipher = AES.new(base64.b64decode(key), AES.MODE_GCM, nonce=nonce)
        return bytes(cipher.decrypt_and_verify(ciphertext, tag))
    except (ValueError, TypeError) as error:
        raise SwarmError(f"{path} cannot be decrypted with this key: {error}") from error


def encrypted_directives(workspace: Path) -> list[Path]:
    """The encrypted directives in ``boot_directives/``."""
    return [
        path for path in directive_files(workspace / "boot_directives", ".json") if is_encrypted_file(path)
    ]


def directive_files(folder: Path, suffix: str) -> list[Path]:
    """The first 100 files by name that may be directives."""
    return sorted(folder.glob(f"*{suffix}"))[:_MOST_FILES]


def is_encrypted_file(path: Path) -> bool:
    """Whether the file is an encrypted directive; whatever cannot be read is none."""
    try:
        return is_encrypted(read_regular_file(path))
    except SwarmError:
        return False


def encrypt_again(workspace: Path, encrypted: Path, tool: str = "matrixswarm-encrypt-directive") -> str:
    """The command that encrypts a directive again, with the agents that are in the workspace now.

    If the tool finds another workspace, it embeds nothing and reports no error. It looks first for a file
    ``.swarm`` in the current folder and above it, then at ``MATRIXSWARM_PATH``.
    """
    plain = shlex.quote(str(encrypted.with_suffix(".py")))
    out = shlex.quote(str(encrypted))
    return (
        f"(cd / && MATRIXSWARM_PATH={shlex.quote(str(workspace))} {tool} --in {plain} --out {out} "
        "--clown-car --hash-bang)"
    )
