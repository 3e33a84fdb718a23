"""Real ways for a folder to fail, each of which begins and ends at will."""

import contextlib
import resource
import subprocess


class FileSizeLimit:
    """The process may not write a single byte to a file: what a full disk or a quota looks like."""

    keeps_reading = True

    def __init__(self, folder):
        self.folder = folder
        self.begun = False

    def begin(self):
        """Applies to whatever runs inside `active`; pytest itself has to go on writing."""
        self.begun = True

    def end(self):
        """Lift it."""
        self.begun = False

    @contextlib.contextmanager
    def active(self):
        """The moment in which the code under test runs."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.begun:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def close(self):
        """Nothing is left behind."""


class _Lasting(FileSizeLimit):
    """A fault that is there from `begin` to `end`."""

    @contextlib.contextmanager
    def active(self):
        """Nothing to do at the moment itself."""
        yield


class FolderIsAFile(_Lasting):
    """The folder is moved away and a file stands in its place: nothing can be read or written."""

    keeps_reading = False

    def begin(self):
        """Replace the folder."""
        self.folder.rename(self.folder.with_name("moved"))
        self.folder.write_text("")
        self.begun = True

    def end(self):
        """Bring the folder back."""
        self.folder.unlink()
        self.folder.with_name("moved").rename(self.folder)
        self.begun = False


class _Mounted(_Lasting):
    """The folder lies in a file system of its own, of 256 KiB; needs root."""

    def __init__(self, folder):
        super().__init__(folder)
        self.root = folder.parent
        _run("mount", "-t", "tmpfs", "-o", "size=256k", "nh-test", self.root)

    def close(self):
        """Unmount."""
        _run("umount", self.root)


class ReadOnly(_Mounted):
    """The file system turns read-only, as after a disk error."""

    def begin(self):
        """Nothing can be written or removed from here on."""
        _run("mount", "-o", "remount,ro", self.root)
        self.begun = True

    def end(self):
        """Writable again."""
        _run("mount", "-o", "remount,rw", self.root)
        self.begun = False


class DiskFull(_Mounted):
    """The file system has no room; what is removed makes some."""

    def begin(self):
        """Fill it to the last byte."""
        with contextlib.suppress(OSError), open(self.root / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        self.begun = True

    def end(self):
        """Make room."""
        (self.root / "filler").unlink()
        self.begun = False


def _run(*command):
    subprocess.run(command, check=True, timeout=30)
