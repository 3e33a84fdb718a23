"""Faults of a folder, caused for real; a test begins and ends each."""

import contextlib
import resource
import subprocess


class FileSizeLimit:
    """The process cannot write a byte to a file, as with a full disk or a quota."""

    keeps_reading = True

    def __init__(self, folder):
        self.folder = folder
        self.begun = False

    def begin(self):
        """Fail from now on, inside `active` only, because pytest itself must be able to write."""
        self.begun = True

    def end(self):
        """Remove the limit."""
        self.begun = False

    @contextlib.contextmanager
    def active(self):
        """Runs the code under test with the fault, if it has begun."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.begun:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def close(self):
        """Clean up; here there is nothing to do."""


class _Lasting(FileSizeLimit):
    """A fault that lasts from `begin` to `end`, also outside `active`."""

    @contextlib.contextmanager
    def active(self):
        """Runs the code under test."""
        yield


class FolderIsAFile(_Lasting):
    """A file replaces the folder: nothing can be read or written."""

    keeps_reading = False

    def begin(self):
        """Replace the folder."""
        self.folder.rename(self.folder.with_name("moved"))
        self.folder.write_text("")
        self.begun = True

    def end(self):
        """Restore the folder."""
        self.folder.unlink()
        self.folder.with_name("moved").rename(self.folder)
        self.begun = False


class _Mounted(_Lasting):
    """The folder is in a file system of its own, of 256 KiB; needs root."""

    def __init__(self, folder):
        super().__init__(folder)
        self.root = folder.parent
        _run("mount", "-t", "tmpfs", "-o", "size=256k", "nh-test", self.root)

    def close(self):
        """Unmount."""
        _run("umount", self.root)


class ReadOnly(_Mounted):
    """The file system becomes read-only, as after a disk error."""

    def begin(self):
        """Remount it read-only."""
        _run("mount", "-o", "remount,ro", self.root)
        self.begun = True

    def end(self):
        """Remount it writable."""
        _run("mount", "-o", "remount,rw", self.root)
        self.begun = False


class DiskFull(_Mounted):
    """The file system is full; removing a file frees space."""

    def begin(self):
        """Fill it to the last byte."""
        with contextlib.suppress(OSError), open(self.root / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        self.begun = True

    def end(self):
        """Free the space."""
        (self.root / "filler").unlink()
        self.begun = False


def _run(*command):
    subprocess.run(command, check=True, timeout=30)
