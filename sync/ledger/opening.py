"""Opening a ledger: bring its schema up to date, find the end of its chain, decide whether a new generation begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from sync.ledger.chain import ChainEnd, Reason, insert_generation, read_end
from sync.ledger.errors import LedgerError, LedgerUnavailable
from sync.ledger.file import (
    Connect,
    Marker,
    drop_frames,
    first_row,
    lay_out_log,
    open_database,
    read_marker,
    write_marker,
)
from sync.ledger.schema import migrations
from sync.records import Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLedger:
    """An opened file: its one connection, the end of its chain, and what it was marked with."""

    database: Database
    end: ChainEnd
    open_id: str


def open_ledger(
    path: Path, *, bin_id: str, host_id: str, stamp: Stamp, connect: Connect, new_id: Callable[[], str]
) -> OpenLedger:
    """Open or create the ledger, under a lock that the caller holds.

    Raises :class:`LedgerError` (another bin's, damaged), :class:`sqlite3.Error`, :class:`OSError`.
    """
    marker = read_marker(path)
    database = open_database(path, connect)
    try:
        _migrate(database)
        # After a failed flush the kernel may show pages that never reached the medium; only writing them out again,
        # from log to database, makes what is read here durable. It also empties the log for lay_out_log().
        busy, _, _ = database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            # The log still holds credits; laying it out would wipe them.
            raise LedgerUnavailable(f"ledger {path}: another program reads it; close that program")
        lay_out_log(path)
        end = read_end(database.conn, path)
        reason = _reason_for_generation(path, database, end, marker, bin_id=bin_id, host_id=host_id)
        open_id = new_id()
        # The database is written before the marker, and keeps what the marker held then. So a crash in between, even
        # several, is told from an older copy: there the marker names an opening that the copy knows nothing of.
        marked_id = marker.open_id if marker else None
        database.conn.execute("BEGIN IMMEDIATE")
        if reason in ("new", "damaged"):
            database.conn.execute(
                "INSERT INTO state (only_row, bin_id, host_id, open_id, marked_id) VALUES (1, ?, ?, ?, ?)",
                (bin_id, host_id, open_id, marked_id),
            )
        else:
            database.conn.execute(
                "UPDATE state SET host_id = ?, open_id = ?, marked_id = ?", (host_id, open_id, marked_id)
            )
        if reason:
            end = insert_generation(database.conn, end, generation=new_id(), bin_id=bin_id, reason=reason, stamp=stamp)
        database.conn.execute("COMMIT")
        write_marker(path, Marker(open_id=open_id, position=end.position))
    except BaseException as error:
        drop_frames(error)
        database.conn.close()
        raise
    return OpenLedger(database=database, end=end, open_id=open_id)


def _reason_for_generation(
    path: Path, database: Database, end: ChainEnd, marker: Marker | None, *, bin_id: str, host_id: str
) -> Reason | None:
    state = first_row(database, "SELECT bin_id, host_id, open_id, marked_id FROM state")
    if state is None:
        # A marker without its database: that was set aside as damaged, or is gone.
        return "damaged" if marker else "new"
    known_bin, known_host, open_id, marked_id = state
    if known_bin != bin_id:
        raise LedgerError(
            f"ledger {path} belongs to bin {known_bin}, the configuration says {bin_id}; "
            "correct the configuration, or use another folder"
        )
    if known_host != host_id:
        return "moved"
    marker_id = marker.open_id if marker else None
    if marker_id not in (open_id, marked_id) or (marker and marker.position > end.position):
        return "restored"
    return None


def _migrate(database: Database) -> None:
    """Bring an older schema up to date.

    Inside BEGIN IMMEDIATE and under the lock, because two processes that apply migrations at once race, and because
    the transaction that sqlite-utils opens by itself begins deferred. An error is left to the closing connection,
    which rolls back.
    """
    if migrations.pending(database):
        database.conn.execute("BEGIN IMMEDIATE")
        migrations.apply(database)
        database.conn.execute("COMMIT")
