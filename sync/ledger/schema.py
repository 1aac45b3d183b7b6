"""The tables of the ledger, as migrations that only add.

Rolling back a release changes code, never the ledger: an older release finds more tables and columns than it knows,
and names every column that it writes.

* ``records``: one row per record, in the order written; ``position`` counts through all generations. The one index
  beside the identity serves "is this item recorded", open deposits, counts, and the rare kinds (hazards, faults,
  emptied): each further index would cost every commit one more page. ``item_id`` repeats what stands in the body.
* ``evidence``: apart, because it may be pruned after acknowledgement and records never.
* ``state``: one row; ``cursor`` is the position up to which the server has acknowledged.
* ``verdicts``: the server's latest word per record, which a release changes into ``released``.
* ``tariffs``: every version that the server issued.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlite_utils import Database, Migrations

from sync.records import Head, Record, Stamp

migrations = Migrations("ledger")


@migrations()
def records(db: Database) -> None:
    for statement in (
        """CREATE TABLE records (
            position INTEGER PRIMARY KEY,
            generation TEXT NOT NULL,
            seq INTEGER NOT NULL CHECK (seq > 0),
            kind TEXT NOT NULL,
            boot_id TEXT NOT NULL,
            mono_ms INTEGER NOT NULL,
            wall_ms INTEGER,
            clock TEXT NOT NULL,
            body BLOB NOT NULL,
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            item_id TEXT,
            UNIQUE (generation, seq)
        ) STRICT""",
        # Null item ids never collide, so this binds deposits, refusals and tips only.
        "CREATE UNIQUE INDEX records_by_item ON records (kind, item_id)",
        """CREATE TRIGGER records_are_never_changed BEFORE UPDATE ON records
            BEGIN SELECT RAISE(ABORT, 'records are never changed'); END""",
        """CREATE TRIGGER records_are_never_deleted BEFORE DELETE ON records
            BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END""",
        "CREATE TABLE evidence (position INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
        """CREATE TABLE state (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            bin_id TEXT NOT NULL,
            host_id TEXT NOT NULL,
            open_id TEXT NOT NULL,
            marked_id TEXT,
            cursor INTEGER NOT NULL DEFAULT 0
        ) STRICT""",
    ):
        db.execute(statement)


@migrations()
def verdicts(db: Database) -> None:
    db.execute(
        """CREATE TABLE verdicts (
            position INTEGER PRIMARY KEY,
            verdict TEXT NOT NULL CHECK (verdict IN ('held', 'released')),
            code TEXT NOT NULL,
            text TEXT NOT NULL
        ) STRICT"""
    )


@migrations()
def tariffs(db: Database) -> None:
    db.execute("CREATE TABLE tariffs (version INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    db.execute("ALTER TABLE state ADD COLUMN tariff_version INTEGER")


COLUMNS = "generation, seq, kind, boot_id, mono_ms, wall_ms, clock, body, hash"
_TYPES = (str, int, str, str, int, int | None, str, bytes, bytes)


def selecting(more: str, rest: str) -> str:
    """A query for records: ``more`` columns, those of :func:`to_record`, then FROM and what follows."""
    return f"SELECT {more}{COLUMNS} {rest}"


def to_bytes(column: object) -> bytes:
    """A BLOB. Raises :class:`TypeError`; ``bytes()`` would take a damaged one that is a number for a length."""
    if not isinstance(column, bytes):
        raise TypeError(f"a BLOB reads as {type(column).__name__}")
    return column


def to_head(row: tuple[Any, ...]) -> Head:
    """Generation, seq and hash as a value. Raises :class:`TypeError` or :class:`ValueError` like :func:`to_record`."""
    generation, seq, hash_ = row
    return msgspec.convert({"generation": generation, "seq": seq, "hash": to_bytes(hash_).hex()}, Head)


def to_record(row: tuple[Any, ...]) -> Record:
    """A row of :data:`COLUMNS` as a value. Raises :class:`TypeError` for one that its table would not have taken."""
    if not all(map(isinstance, row, _TYPES)):
        raise TypeError(f"a record's columns have the types {', '.join(type(column).__name__ for column in row)}")
    generation, seq, kind, boot_id, mono_ms, wall_ms, clock, body, hash_ = row
    stamp = Stamp(boot_id=boot_id, mono_ms=mono_ms, wall_ms=wall_ms, clock=clock)
    return Record(generation=generation, seq=seq, kind=kind, stamp=stamp, body=body, hash=hash_)
