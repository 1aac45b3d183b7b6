"""The end of the chain, and how records and generations are put behind it."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sync.ledger.errors import LedgerDamaged
from sync.ledger.schema import selecting, to_bytes, to_record
from sync.ledger.values import Entry
from sync.records import ZERO_HASH, GenerationStarted, Head, Record, Stamp, chain_hash, encode_body, kind_of

BODY_BYTES_MAX = 64 * 1024
EVIDENCE_BYTES_MAX = 1024 * 1024
"""Far above anything that a fall can produce: 64 edges and some hundred mass samples are under 10 KiB."""

Reason = Literal["new", "restored", "moved", "fork", "damaged"]

_INSERT_RECORD = (
    "INSERT INTO records (position, generation, seq, kind, boot_id, mono_ms, wall_ms, clock, body, hash, item_id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_EVIDENCE = "INSERT INTO evidence (position, data) VALUES (?, ?)"
_LAST_TWO = selecting("position, ", "FROM records ORDER BY position DESC LIMIT 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """The last record: ``position`` through all generations, ``seq`` and ``hash`` within its own."""

    position: int = 0
    generation: str = ""
    seq: int = 0
    hash: bytes = ZERO_HASH

    @property
    def head(self) -> Head:
        return Head(generation=self.generation, seq=self.seq, hash=self.hash.hex())


def read_end(connection: sqlite3.Connection, path: Path) -> ChainEnd:
    """Take up the chain at its last record. Raises :class:`LedgerDamaged` when that is not as it was written.

    Older records are judged by :meth:`Ledger.verify`, which a technician starts: reading years of them at
    each start would keep the bin closed for no better proof than the server gives while it takes them in.
    """
    rows = connection.execute(_LAST_TWO).fetchall()
    if not rows:
        return ChainEnd()
    position, *columns = rows[0]
    last = to_record(tuple(columns))
    previous = to_bytes(rows[1][-1]) if last.seq > 1 and len(rows) > 1 else ZERO_HASH
    expected = chain_hash(
        previous, generation=last.generation, seq=last.seq, kind=last.kind, stamp=last.stamp, body=last.body
    )
    if expected != last.hash:
        raise LedgerDamaged(
            f"ledger {path}: record {last.generation}/{last.seq}, the last one, does not match its hash; "
            "stop the daemon, set it aside whole with 'kiosk ledger renew', and keep the old file for the operator"
        )
    return ChainEnd(position=position, generation=last.generation, seq=last.seq, hash=last.hash)


def next_record(end: ChainEnd, entry: Entry) -> Record:
    """The record that an entry becomes behind ``end``.

    A body over :data:`BODY_BYTES_MAX`, and evidence that the body does not vouch for, are assertions.
    """
    kind, body = kind_of(entry.body), encode_body(entry.body)
    assert len(body) <= BODY_BYTES_MAX, f"{kind}: a body of {len(body)} bytes"
    if entry.evidence is not None:
        assert len(entry.evidence) <= EVIDENCE_BYTES_MAX, f"{kind}: evidence of {len(entry.evidence)} bytes"
        vouched = getattr(entry.body, "evidence_sha256", None)
        assert vouched == hashlib.sha256(entry.evidence).hexdigest(), f"{kind}: other evidence than its body names"
    seq = end.seq + 1
    hash_ = chain_hash(end.hash, generation=end.generation, seq=seq, kind=kind, stamp=entry.stamp, body=body)
    return Record(generation=end.generation, seq=seq, kind=kind, stamp=entry.stamp, body=body, hash=hash_)


def following(end: ChainEnd, record: Record) -> ChainEnd:
    """The end of the chain once ``record`` stands behind ``end``."""
    return ChainEnd(position=end.position + 1, generation=record.generation, seq=record.seq, hash=record.hash)


def insert(connection: sqlite3.Connection, position: int, record: Record, entry: Entry) -> None:
    """Write one record and its evidence. Explicit SQL inside the caller's transaction: this is the hot path."""
    stamp = record.stamp
    connection.execute(
        _INSERT_RECORD,
        (
            position,
            record.generation,
            record.seq,
            record.kind,
            stamp.boot_id,
            stamp.mono_ms,
            stamp.wall_ms,
            stamp.clock,
            record.body,
            record.hash,
            entry.item_id,
        ),
    )
    if entry.evidence is not None:
        connection.execute(_INSERT_EVIDENCE, (position, entry.evidence))


def insert_generation(
    connection: sqlite3.Connection, end: ChainEnd, *, generation: str, bin_id: str, reason: Reason, stamp: Stamp
) -> ChainEnd:
    """Begin a generation inside the caller's transaction; its first record names the record before it."""
    body = GenerationStarted(bin_id=bin_id, reason=reason, previous=end.head if end.position else None)
    entry = Entry(body=body, stamp=stamp)
    record = next_record(ChainEnd(position=end.position, generation=generation), entry)
    insert(connection, end.position + 1, record, entry)
    return following(end, record)
