"""A ledger without its daemon: read a copy of it, or set it aside when it is damaged."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from sync.ledger.errors import LedgerUnavailable
from sync.ledger.file import ILL_FORMED, Marker, explained, read_marker, sync_folder, write_marker
from sync.ledger.lock import LedgerLock
from sync.ledger.reading import LedgerReading


@contextlib.contextmanager
def read_copy(path: Path) -> Iterator[LedgerReading]:
    """Open a copy of database and log in a temporary folder, for reading while no daemon runs.

    A copy, because opening the ledger itself changes it, and because SQLite's ``immutable`` would leave out the log
    and with it the newest credits. The lock is held only while copying.
    Raises :class:`LedgerInUse`, :class:`LedgerUnavailable` (also when there is no ledger), :class:`LedgerDamaged`.
    """
    _look(path)
    with tempfile.TemporaryDirectory(prefix="ledger-copy-") as folder:
        copy = Path(folder) / path.name
        lock = LedgerLock(path)
        try:
            shutil.copyfile(path, copy)
            log = _beside(path, "-wal")
            if log.exists():
                shutil.copyfile(log, _beside(copy, "-wal"))
        except OSError as error:
            raise explained(error, path) from error
        finally:
            lock.release()
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            try:
                database = Database(connection)
                database.execute("SELECT count(*) FROM state").fetchone()
            except (sqlite3.Error, *ILL_FORMED) as error:
                raise explained(error, path) from error
            yield LedgerReading(path, database)


def set_aside(path: Path, *, lock: LedgerLock | None = None) -> Path:
    """Move a damaged ledger whole into a folder beside it, which is returned; for a technician to decide.

    The next :meth:`Ledger.open` finds the marker without its database and begins a generation for the
    reason "damaged". ``lock``: one that the caller holds. Raises :class:`LedgerInUse`, :class:`LedgerUnavailable`.
    """
    _look(path)
    own_lock = None if lock else LedgerLock(path)
    try:
        if read_marker(path) is None:
            write_marker(path, Marker(open_id="set-aside", position=0))
        aside = _new_folder(path)
        files = [file for file in (path, _beside(path, "-wal"), _beside(path, "-shm")) if file.exists()]
        # Linked first and unlinked later: were the database gone before its log is safe, the next opening would
        # throw that log away, and were the log gone first, the database would open without its newest credits.
        for file in files:
            os.link(file, aside / file.name)
        sync_folder(aside)
        sync_folder(path.parent)
        for file in files:
            file.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        if own_lock:
            own_lock.release()
    return aside


def _look(path: Path) -> None:
    """Raise :class:`LedgerUnavailable` when there is no ledger, or none that this user may see."""
    try:
        path.stat()
    except FileNotFoundError:
        message = f"ledger {path}: there is none; check the folder in the configuration"
        raise LedgerUnavailable(message) from None
    except OSError as error:
        raise explained(error, path) from error


def _new_folder(path: Path) -> Path:
    number = 1
    while True:
        folder = _beside(path, f".damaged-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
