"""How the ledger's SQLite file is opened, marked and complained about."""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from sync.ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable

Connect = Callable[..., sqlite3.Connection]

BUSY_S = 0.5
"""How long SQLite waits for a foreign lock; the keeper tries again by itself, so waiting longer only hides it."""

WAL_PAGES = 512
"""2 MiB of write-ahead log: about a hundred deposits at four to five pages of 4 KiB each."""

PAGE_BYTES = 4096

_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full; free space on it",
    sqlite3.SQLITE_READONLY: "the file or its file system is read-only; remount it or replace the card",
    sqlite3.SQLITE_BUSY: "another program has locked it; close that program",
    sqlite3.SQLITE_LOCKED: "another program has locked it; close that program",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder exists and that this user may write to it",
    sqlite3.SQLITE_PERM: "access is denied; use the daemon's user or sudo, or check the file's owner and mode",
    sqlite3.SQLITE_IOERR: "reading or writing fails; check the card and its contacts (see the kernel's log)",
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT: "its pages are damaged", sqlite3.SQLITE_NOTADB: "it is not a database"}

_NO_TEXT = "Could not decode to UTF-8"
"""How Python's sqlite3 says, without a code, that a text column holds no text."""

ILL_FORMED = (ValueError, TypeError, OverflowError, LookupError, AttributeError, RecursionError)
"""What values meet that SQLite takes for whole while a flipped bit has made them other than what was written."""


def explained(error: Exception, path: Path) -> LedgerError:
    """The ledger's own error for one of SQLite, the system, or of :data:`ILL_FORMED`: the fact, then the remedy."""
    if isinstance(error, PermissionError):
        return LedgerUnavailable(f"ledger {path}: {_UNAVAILABLE[sqlite3.SQLITE_PERM]} ({error})")
    if isinstance(error, OSError):
        return LedgerUnavailable(f"ledger {path}: {error.strerror}; free or repair the medium that it lies on")
    if not isinstance(error, sqlite3.Error) or str(error).startswith(_NO_TEXT):
        return LedgerDamaged(
            f"ledger {path}: something in it does not read as what was written ({error!r}); look with "
            "'kiosk ledger verify', then set it aside whole with 'kiosk ledger renew'"
        )
    # Only the low byte names the class; the rest says which call met it.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    if code == sqlite3.SQLITE_IOERR and _is_read_only(path):
        code = sqlite3.SQLITE_READONLY  # a log that cannot be made on a read-only card is told as an I/O error
    if code in _DAMAGED:
        return LedgerDamaged(
            f"ledger {path}: {_DAMAGED[code]} ({error}); it stays as it is: stop the daemon, set "
            "it aside whole with 'kiosk ledger renew', and keep the old file for the operator"
        )
    if code in _UNAVAILABLE:
        return LedgerUnavailable(f"ledger {path}: {_UNAVAILABLE[code]} ({error})")
    return LedgerError(f"ledger {path}: SQLite refuses ({error}); report this with the daemon's log")


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def open_database(path: Path, connect: Connect) -> Database:
    """The single connection on which the ledger lives. Raises :class:`sqlite3.Error`.

    * ``isolation_level=None``: otherwise Python opens a transaction before a raw INSERT, which later inserts of
      sqlite-utils join and lose. Every transaction here is an explicit BEGIN IMMEDIATE; a deferred one that reads
      and then writes fails at once with "database is locked".
    * ``locking_mode=EXCLUSIVE`` before the first access: one connection, no shared-memory file, and SQLite's WAL-reset
      bug (before 3.51.3), which needs two connections, cannot happen.
    * ``synchronous=FULL``: a COMMIT returns after one fdatasync of the log.
    * The log is written through in place and never truncated below ``WAL_PAGES``; see :func:`lay_out_log`.
    * :class:`Database` is never used as a context manager, because leaving it closes without committing, and nothing is
      written through its tables, because a mistyped name would create one. It does set ``recursive_triggers``,
      without which REPLACE deletes rows past the DELETE trigger.
    """
    connection = connect(str(path), timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # A safety net under a day of unbroken deposits; otherwise the log is checkpointed while idle.
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES - 32}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_PAGES * PAGE_BYTES}")
        return Database(connection)
    except BaseException as error:
        drop_frames(error)
        connection.close()
        raise


def lay_out_log(path: Path) -> None:
    """Write the empty log full of zeroes once, so that commits overwrite blocks which the file already has.

    A growing log costs two flushes a commit (data, then the file system's journal for its new size), one laid out
    costs one; and a disk that fills up later meets the next checkpoint, not the deposit in hand. SQLite takes zeroes
    for the end of the log. Called with the log empty and checkpointed. Raises :class:`OSError` (disk full).
    """
    with open(path.with_name(path.name + "-wal"), "r+b", buffering=0) as log:
        zeroes = memoryview(bytes(WAL_PAGES * PAGE_BYTES))
        # A write that meets a full disk is short; only the next one says why.
        while zeroes:
            zeroes = zeroes[log.write(zeroes) :]
        os.fsync(log.fileno())


def drop_frames(error: BaseException | None) -> None:
    """Forget the locals of the calls that an error came through, before the connection is closed.

    From Python 3.12 on, ``close()`` leaves a connection half open, with its lock on the file, while any cursor lives;
    one that is kept by a traceback would lock the ledger out of its own file.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def check_room(path: Path, free_bytes_min: int) -> None:
    """Raise :class:`LedgerUnavailable` when the file system is read-only or nearly full; :class:`OSError`."""
    medium = os.statvfs(path)
    if medium.f_flag & os.ST_RDONLY:
        raise LedgerUnavailable(f"ledger {path}: its file system is read-only; remount it writable or replace the card")
    if medium.f_bavail * medium.f_frsize < free_bytes_min:
        raise LedgerUnavailable(
            f"ledger {path}: under {free_bytes_min // 1024} KiB are free, which are kept in reserve; "
            "free space on its disk"
        )


class Marker(Struct, frozen=True, kw_only=True):
    """A small file beside the database by which an older copy put back is known.

    ``open_id`` is drawn anew at every opening and stored in both; ``position`` is one that the database had made
    durable before the marker was written.
    """

    open_id: str
    position: int


def read_marker(path: Path) -> Marker | None:
    """The marker of the ledger at ``path``; null when there is none or it cannot be read."""
    try:
        return msgspec.json.decode(_marker_path(path).read_bytes(), type=Marker)
    except (FileNotFoundError, *ILL_FORMED):
        return None


def write_marker(path: Path, marker: Marker) -> None:
    """Replace the marker in one step, durably. Raises :class:`OSError`."""
    final = _marker_path(path)
    draft = final.with_name(final.name + ".new")
    with open(draft, "wb") as file:
        file.write(msgspec.json.encode(marker))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, final)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises :class:`OSError`."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _marker_path(path: Path) -> Path:
    return path.with_name(path.name + ".open")


def first_row(database: Database, sql: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """The first row that a query gives, null when it gives none."""
    row: tuple[Any, ...] | None = database.conn.execute(sql, parameters).fetchone()
    return row
