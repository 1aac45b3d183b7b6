"""One process at a time: an flock beside the ledger, held for life."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from sync.ledger.errors import LedgerInUse, LedgerUnavailable


class LedgerLock:
    """Exclusive right to the ledger at ``path``, until :meth:`release` or the end of the process.

    The daemon takes it before it opens any pin, so that a second daemon exits before it can move anything. The file
    ``<path>.lock`` carries the holder's process id for whoever is refused. It is a file of its own because SQLite's
    locks on the database belong to the process: they vanish when any of its descriptors on that file is closed.

    Raises :class:`LedgerInUse` naming the holder, :class:`LedgerUnavailable` when the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        try:
            self._fd = self._open()
        except OSError as error:
            raise LedgerUnavailable(
                f"ledger {path}: lock file {self.path.name} cannot be made ({error.strerror}); "
                "check that its folder exists and that this user may write to it"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise LedgerInUse(
                f"ledger {path} is held by process {holder}; stop it, or ask it over its control socket"
            ) from None
        if self._writable:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def _open(self) -> int:
        self._writable = True
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES):
                raise
            # Reading a copy from a read-only card needs the lock and no pid; flock works on a read-only descriptor.
            self._writable = False
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def release(self) -> None:
        """Let go; harmless when done twice. The file stays: deleting it would let two processes lock two files."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
