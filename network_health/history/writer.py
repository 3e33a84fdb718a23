"""Writes checks in a thread of its own, so that no check waits for a disk.

Guarantees: at most `MAX_ROWS` rows wait in memory; the oldest check is dropped first, and counted. A damaged
file is set aside under a name with the time, and a new one begun, at most once an hour; the last
`_KEPT_ASIDE` are kept.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import deque
from pathlib import Path

from network_health.history.file_access import is_own, parts
from network_health.history.kept import HistoryError
from network_health.history.rows import CheckRows
from network_health.history.store import Store
from network_health.settings import Settings

#: About 14 MB; with five interfaces a day of checks.
MAX_ROWS = 20_000
_KEPT_ASIDE = 2
_ASIDE_EVERY_S = 3600.0
#: What SQLite says about a file whose pages can be read, but have not what belongs there.
_DAMAGE = ("no such table", "no such column", "has no column", "could not decode", "malformed")


class Writer:
    """Writes into one file; `problem` is why it cannot, ``None`` while it can.

    ``notes`` has sentences for the log, ``lost`` counts dropped checks, and ``busy_since_s`` is the monotonic
    time when the present write began.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self.max_bytes = path, max_bytes
        self.problem: str | None = None
        self.notes: deque[str] = deque(maxlen=10)
        self.lost = 0
        self.busy_since_s: float | None = None
        self._waiting: deque[tuple[CheckRows, Settings]] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._has_new = self._is_stopping = False
        self._store: Store | None = None
        self._aside_s: float | None = None
        self._thread: threading.Thread | None = None

    def add(self, rows: CheckRows, settings: Settings) -> None:
        """Hand over one check; returns at once."""
        with self._changed:
            self._waiting.append((rows, settings))
            self._rows += rows.count
            while self._rows > MAX_ROWS and len(self._waiting) > 1:
                self._rows -= self._waiting.popleft()[0].count
                self.lost += 1
            self._has_new = True
            self._changed.notify()
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="history", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system's limit of threads or of memory is reached
                self.problem = str(error)
            else:
                self._thread = thread

    def stop(self, timeout_s: float = 0.0) -> None:
        """End the thread after what waits is written; wait for that at most ``timeout_s``."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread and timeout_s:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while self._wait():
            self._write_waiting()
            self.busy_since_s = None
        self._close()

    def _wait(self) -> bool:
        """Wait for the next check, with which what failed is tried again; false if the thread is to end."""
        with self._changed:
            while not self._has_new and not self._is_stopping:
                self._changed.wait()
            has_new, self._has_new = self._has_new, False
            if has_new:
                self.busy_since_s = time.monotonic()
            return has_new

    def _write_waiting(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._waiting:
                        break
                    first = self._waiting[0]
                self._opened().add_rows(*first)
                with self._changed:
                    if self._waiting and self._waiting[0] is first:
                        self._waiting.popleft()
                        self._rows -= first[0].count
        except (HistoryError, OSError) as error:
            self._fail(str(error))
        except sqlite3.Error as error:
            self._fail(str(error), is_damage=_is_damage(error))
        except (TypeError, ValueError, OverflowError) as error:  # a value that was never written
            self._fail(f"{type(error).__name__}: {error}", is_damage=True)
        else:
            self.problem = None

    def _opened(self) -> Store:
        if self._store and not self._store.is_current:
            self._close()
        if self._store is None:
            self._store = Store(self.path, self.max_bytes)
        self._store.max_bytes = self.max_bytes
        return self._store

    def _fail(self, reason: str, is_damage: bool = False) -> None:
        self._close()
        # assigned once: a check logs what it sees here at any moment
        self.problem = self._set_aside(reason) if is_damage else reason

    def _close(self) -> None:
        store, self._store = self._store, None
        if store:
            with contextlib.suppress(sqlite3.Error):
                store.close()

    def _set_aside(self, reason: str) -> str | None:
        """Give the damaged file another name; the next check begins a new one. Returns why it cannot."""
        try:
            if not is_own(self.path):  # the path of a setting may be that of any file
                return f"{self.path} is not a history ({reason}), and is not changed"
        except OSError as error:
            return f"the file is damaged ({reason}) and cannot be read: {error}"
        now_s = time.monotonic()
        if self._aside_s is not None and now_s - self._aside_s < _ASIDE_EVERY_S:
            return f"the file is damaged ({reason})"
        self._aside_s = now_s
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            os.rename(self.path, aside)
            for part in parts(self.path)[1:]:
                part.unlink(missing_ok=True)
            earlier = sorted(self.path.parent.glob(f"{self.path.name}.damaged-*"))
            for path in earlier[:-_KEPT_ASIDE]:
                path.unlink()
        except OSError as error:
            return f"the file is damaged ({reason}) and cannot be set aside: {error}"
        self._has_new = True  # what waits belongs into the new one
        self.notes.append(
            f"The history {self.path} was damaged ({reason}): it is now {aside.name}, and a new one begins"
        )
        return None


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is at fault, and not the disk, the rights, or another process."""
    if isinstance(error, sqlite3.OperationalError):
        return any(text in str(error).lower() for text in _DAMAGE)
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError
    )
