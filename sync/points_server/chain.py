"""Chains of records as the server knows them: following them, where they branch, how far they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, func, select

from sync.points_server import schema
from sync.points_server.schema import MAIN
from sync.records import ZERO_HASH, GenerationStarted, Record, chain_hash, decode_body
from sync.wire import Ack, WireHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A record that is stored, or is about to be."""

    seq: int
    branch: str
    hash: bytes


def walk(
    batch: Sequence[Record], known: dict[int, list[Known]]
) -> tuple[Known | None, list[tuple[Record, str]], str | None]:
    """Follow the chain through what is known (new records are added to it).

    Returns the last good place, the new records with their branches, and what is wrong with the next one.
    """
    tip: Known | None = None
    fresh: list[tuple[Record, str]] = []
    for record in batch:
        here = known.setdefault(record.seq, [])
        at = next((row for row in here if row.hash == record.hash), None)
        if at is None:
            parents = known.get(record.seq - 1, []) if record.seq > 1 else [Known(seq=0, branch=MAIN, hash=ZERO_HASH)]
            parent = next((row for row in parents if _follows(record, row.hash)), None)
            if parent is None:
                fact = f"{record.generation}/{record.seq} does not follow on what is known before it"
                return tip, fresh, fact if parents else None
            taken = any(row.branch == parent.branch for row in here)
            at = Known(seq=record.seq, branch=record.hash.hex() if taken else parent.branch, hash=record.hash)
            here.append(at)
            fresh.append((record, at.branch))
        tip = at
    return tip, fresh, None


def _follows(record: Record, previous: bytes) -> bool:
    return record.hash == chain_hash(
        previous,
        generation=record.generation,
        seq=record.seq,
        kind=record.kind,
        stamp=record.stamp,
        body=record.body,
    )


def previous_head(first: Record) -> WireHead | None:
    """The head that a generation's first record says it follows; null when it says so of none, or cannot be read."""
    try:
        body = decode_body(first.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(body, GenerationStarted) or body.previous is None:
        return None
    try:
        return msgspec.convert(body.previous, WireHead, from_attributes=True)
    except msgspec.ValidationError:
        return None


def common(db: Connection, bin_id: str, generation: str, limit: int, disbelieved: WireHead | None) -> Ack:
    """How far we have a generation, at most to ``limit``, and only where all its branches still agree.

    Back to its beginning when the bin has already disbelieved an acknowledgement there: then the two sides parted
    earlier than this database can tell.
    """
    if disbelieved and disbelieved.generation == generation:
        return nothing_of(generation)
    columns = schema.records.c
    of_generation = (columns.bin_id == bin_id, columns.generation == generation)
    branched = db.execute(select(func.min(columns.seq)).where(*of_generation, columns.branch != MAIN)).scalar()
    below = limit if branched is None else min(limit, branched - 1)
    row = db.execute(
        select(columns.seq, columns.hash)
        .where(*of_generation, columns.branch == MAIN, columns.seq <= below)
        .order_by(columns.seq.desc())
        .limit(1)
    ).first()
    return Ack(generation=generation, acked_seq=row.seq, acked_hash=row.hash.hex()) if row else nothing_of(generation)


def nothing_of(generation: str) -> Ack:
    """The acknowledgement that always holds: send this generation from its beginning."""
    return Ack(generation=generation, acked_seq=0, acked_hash=ZERO_HASH.hex())


def has_more(db: Connection, bin_id: str, head: WireHead) -> bool:
    """Whether we hold records behind the bin's newest one: the bin went back to an older state and must not go on
    under identities that are taken."""
    row = find(db, bin_id, head)
    if row is None:
        return False
    after = between(db, bin_id, head.generation, head.seq + 1, head.seq + 1)
    return any(other.branch == row.branch for other in after)


def find(db: Connection, bin_id: str, place: WireHead) -> Known | None:
    """What is stored at that place with that hash."""
    rows = between(db, bin_id, place.generation, place.seq, place.seq)
    return next((row for row in rows if row.hash.hex() == place.hash), None)


def between(db: Connection, bin_id: str, generation: str, first: int, last: int) -> list[Known]:
    """What is stored of a generation from ``first`` to ``last``, on all branches."""
    columns = schema.records.c
    rows = db.execute(
        select(columns.seq, columns.branch, columns.hash).where(
            columns.bin_id == bin_id, columns.generation == generation, columns.seq.between(first, last)
        )
    )
    return [Known(seq=seq, branch=branch, hash=hash_) for seq, branch, hash_ in rows]


def branch_of(known: dict[int, list[Known]], record: Record) -> str:
    """The branch of a record that is known."""
    return next(row.branch for row in known[record.seq] if row.hash == record.hash)
