"""Reads and changes files below one folder, by names relative to it; see openat(2).

The folder may belong to another user, who can change anything in it at any moment. So each name is opened
component by component, without following a link, and what is created is changed by its descriptor only.

Guarantees: no symbolic link is followed, neither in a name nor on the way to the folder, and nothing outside
of the folder is read or changed. What is created belongs to the folder's owner and is readable by all. It
gets its name when it is complete; until then it is a temporary file or folder in ``scratch``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from network_health.swarm.errors import SwarmError

#: Files that are larger are not read: none of them is one that was installed.
MAX_BYTES = 8 << 20
_TEMPORARY = ".unfinished-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Needs only the right to search the folder, not to read it.
_SEARCH = _FOLDER | getattr(os, "O_PATH", 0)


class ConfinedFolder:
    """A context manager; ``path`` is absolute. The folder ``scratch`` in it is created when it is needed.

    All methods raise `SwarmError` if a component of a name is a link or not a folder, else `OSError`.
    """

    def __init__(self, path: Path, scratch: str) -> None:
        self.path = path
        self._scratch = scratch
        root = os.open("/", _SEARCH)
        self._root = self._descend(root, path.parts[1:], PurePosixPath("/"))
        self._owner = os.fstat(self._root)

    def __enter__(self) -> ConfinedFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def exists(self, name: str) -> bool:
        """Whether there is anything with that name, also a link that leads nowhere."""
        return self._kind(name) is not None

    def names(self, name: str) -> list[str]:
        """The names in a folder, sorted; none if there is no such folder."""
        if self._kind(name) != stat.S_IFDIR:
            return []
        with self._opened(name) as folder:
            return sorted(_listing(folder))

    def read(self, name: str) -> bytes | None:
        """The content of a regular file of at most `MAX_BYTES`; ``None`` for anything else, or nothing."""
        if self._kind(name) != stat.S_IFREG:
            return None
        with self._parent(name) as (folder, last):
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe was put there meanwhile
                return None
            content = file.read(MAX_BYTES + 1)
        return content if len(content) <= MAX_BYTES else None

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file with mode 0644, and create the folders above it."""
        self._create_folders(_above(name))
        with self._temporary(name) as (scratch, temporary):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(temporary, flags, 0o600, dir_fd=scratch), "wb") as file:
                file.write(content)
                file.flush()
                self._hand_over(file.fileno(), 0o644)

    def move(self, name: str, target: str) -> None:
        """Rename ``name`` to ``target``, and create the folders above that."""
        self._create_folders(_above(target))
        self._rename(name, target)

    def remove(self, name: str) -> None:
        """Remove a file or an empty folder."""
        with self._parent(name) as (folder, last):
            (os.rmdir if self._kind(name) == stat.S_IFDIR else os.unlink)(last, dir_fd=folder)

    def remove_if_empty(self, name: str) -> bool:
        """Remove a folder that is empty but for compiled Python files; whether nothing has this name now."""
        if self._kind(name) != stat.S_IFDIR:
            return not self.exists(name)
        cache = f"{name}/__pycache__"
        for each in self.names(cache):
            if each.endswith(".pyc"):
                self.remove(f"{cache}/{each}")
        if not self.names(cache) and self._kind(cache) == stat.S_IFDIR:
            self.remove(cache)
        if self.names(name):
            return False
        self.remove(name)
        return True

    def remove_temporaries(self) -> None:
        """Remove what an interrupted run has left in ``scratch``."""
        for each in self.names(self._scratch):
            if each.startswith(_TEMPORARY):
                self.remove(f"{self._scratch}/{each}")

    def _kind(self, name: str) -> int | None:
        try:
            with self._parent(name) as (folder, last):
                return stat.S_IFMT(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """The descriptor of the folder above ``name``, and the last component of ``name``."""
        path = PurePosixPath(name)
        with self._opened(_above(name)) as folder:
            yield folder, path.name

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        folder = self._descend(os.dup(self._root), PurePosixPath(name).parts, PurePosixPath(self.path))
        try:
            yield folder
        finally:
            os.close(folder)

    def _descend(self, folder: int, parts: tuple[str, ...], above: PurePosixPath) -> int:
        """The descriptor of the folder that ``parts`` lead to; closes ``folder``, which is ``above``."""
        for part in parts:
            above /= part
            try:
                below = os.open(part, _SEARCH, dir_fd=folder)
            except OSError as error:
                if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                    raise SwarmError(
                        f"{above} is a symbolic link or no folder: links are not followed, so replace it "
                        "with a folder"
                    ) from error
                raise
            finally:
                os.close(folder)
            folder = below
        return folder

    def _create_folders(self, name: str) -> None:
        parts = PurePosixPath(name).parts
        for end in range(1, len(parts) + 1):
            folder = "/".join(parts[:end])
            if self._kind(folder) is None:
                self._create_folder(folder)

    def _create_folder(self, name: str) -> None:
        if name == self._scratch:
            self._create_scratch()
            return
        with self._temporary(name) as (scratch, temporary):
            os.mkdir(temporary, 0o700, dir_fd=scratch)
            self._hand_over_folder(scratch, temporary)

    def _create_scratch(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._scratch, 0o700, dir_fd=self._root)
        with self._parent(self._scratch) as (folder, last):
            self._hand_over_folder(folder, last)

    @contextlib.contextmanager
    def _temporary(self, name: str) -> Iterator[tuple[int, str]]:
        """A folder and a new name in it; what the block creates there is renamed to ``name`` at its end."""
        self._create_scratch()
        temporary = f"{self._scratch}/{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            with self._parent(temporary) as place:
                yield place
            self._rename(temporary, name)
        except OSError:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise

    def _rename(self, name: str, target: str) -> None:
        with self._parent(name) as (source, old), self._parent(target) as (folder, new):
            os.rename(old, new, src_dir_fd=source, dst_dir_fd=folder)

    def _hand_over_folder(self, above: int, name: str) -> None:
        """Hand over a folder that is empty and this user's own: another one may have been put there."""
        folder = os.open(name, _FOLDER, dir_fd=above)
        try:
            if os.fstat(folder).st_uid == os.geteuid() and not os.listdir(folder):
                self._hand_over(folder, 0o755)
        finally:
            os.close(folder)

    def _hand_over(self, descriptor: int, mode: int) -> None:
        """Set the mode, and give what root has created to the owner of the folder."""
        os.fchmod(descriptor, mode)  # whatever the umask is: the swarm may run as another user
        if os.geteuid() == 0:
            os.fchown(descriptor, self._owner.st_uid, self._owner.st_gid)


def _above(name: str) -> str:
    return str(PurePosixPath(name).parent)


def _listing(folder: int) -> list[str]:
    readable = os.open(".", _FOLDER, dir_fd=folder)
    try:
        return os.listdir(readable)
    finally:
        os.close(readable)
