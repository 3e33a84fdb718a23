"""Puts things in the place of a file that a program reads or writes, as another user or program could."""

import contextlib
import os
import signal

CONTENT = "content of another file\n" * 100


def fifo(path, victim):
    """A FIFO that nobody writes to: whoever opens it waits."""
    os.mkfifo(path)


def endless(path, victim):
    """A link to a device without an end."""
    os.symlink("/dev/zero", path)


def link(path, victim):
    """A symbolic link."""
    os.symlink(victim, path)


def dangling(path, victim):
    """A symbolic link to a file that does not exist."""
    os.symlink(victim.with_name("created"), path)


def hard_link(path, victim):
    """A second name of a file."""
    os.link(victim, path)


def huge(path, victim):
    """A file of 10 GB that takes no space."""
    with open(path, "wb") as file:
        file.truncate(10 << 30)


def of_another_user(path, victim):
    """A file of another user; needs root."""
    path.write_text("{}")
    os.chown(path, 65534, 65534)


KINDS = (fifo, endless, link, dangling, hard_link, huge)


@contextlib.contextmanager
def within(seconds):
    """Ends what waits for longer, with an error."""

    def end(*_):
        raise AssertionError(f"it waits for more than {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
