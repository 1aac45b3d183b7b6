"""Reading a whole ledger against its own chain."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from sync.ledger.schema import selecting, to_record
from sync.ledger.values import Problem
from sync.records import ZERO_HASH, GenerationStarted, Head, Record, chain_hash, decode_body

_EVERYTHING = selecting("item_id, data, ", "FROM records LEFT JOIN evidence USING (position) ORDER BY position")


class _Checked(Struct, frozen=True, kw_only=True):
    """The fields that columns and evidence are compared with, in a body of any kind, known or not."""

    item_id: str | None = None
    evidence_sha256: str | None = None


_checked_decoder = msgspec.json.Decoder(_Checked)


def problems(database: Database) -> Iterator[Problem]:
    """Everything that is not as it was written: pages, gaps, hashes, generations, evidence.

    Raises nothing: what cannot be read any further is a problem itself.
    """
    try:
        for (fact,) in database.conn.execute("PRAGMA integrity_check"):
            if fact != "ok":
                yield Problem(generation=None, seq=None, fact=str(fact))
        previous: Record | None = None
        for item_id, evidence, *columns in database.conn.execute(_EVERYTHING):
            record = to_record(tuple(columns))
            for fact in _facts(record, previous, item_id, evidence):
                yield Problem(generation=record.generation, seq=record.seq, fact=fact)
            previous = record
    except sqlite3.Error as error:
        yield Problem(generation=None, seq=None, fact=f"cannot be read any further: {error}")


def _facts(record: Record, previous: Record | None, item_id: Any, evidence: bytes | None) -> Iterator[str]:
    follows = previous is not None and previous.generation == record.generation
    expected_seq = previous.seq + 1 if previous is not None and follows else 1
    if record.seq != expected_seq:
        yield f"seq {expected_seq} is missing before it"
    before = previous.hash if previous is not None and follows else ZERO_HASH
    if record.hash != chain_hash(
        before, generation=record.generation, seq=record.seq, kind=record.kind, stamp=record.stamp, body=record.body
    ):
        yield "its hash does not follow from its columns and the record before it"
    if not follows:
        yield from _facts_of_first(record, previous)
    try:
        body = _checked_decoder.decode(record.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        yield f"its body is no JSON object ({error})"
        return
    if item_id is not None and body.item_id != item_id:
        yield f"it is filed under item {item_id}, its body says {body.item_id}"
    if evidence is not None and body.evidence_sha256 != hashlib.sha256(evidence).hexdigest():
        yield "its evidence is not what its body vouches for"


def _facts_of_first(record: Record, previous: Record | None) -> Iterator[str]:
    try:
        body = decode_body(record.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, GenerationStarted):
        yield "a generation begins without saying so"
    elif previous is not None and body.previous != Head(
        generation=previous.generation, seq=previous.seq, hash=previous.hash.hex()
    ):
        yield "its generation does not name the record before it"
