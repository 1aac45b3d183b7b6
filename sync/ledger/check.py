"""Reading a whole ledger against its own chain."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from sync.ledger.file import ILL_FORMED
from sync.ledger.schema import selecting, to_record
from sync.ledger.values import Problem
from sync.records import ZERO_HASH, GenerationStarted, Head, Record, chain_hash, decode_body

_FROM = selecting(
    "position, item_id, data, ",
    "FROM records LEFT JOIN evidence USING (position) WHERE position >= ? ORDER BY position LIMIT ?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What was found in one stretch; the next one begins behind the position ``after``, null at the ledger's end."""

    problems: tuple[Problem, ...]
    after: int | None


class _Checked(Struct, frozen=True, kw_only=True):
    """The fields that columns and evidence are compared with, in a body of any kind, known or not."""

    item_id: str | None = None
    evidence_sha256: str | None = None


_checked_decoder = msgspec.json.Decoder(_Checked)


def check(database: Database, *, after: int, records_max: int) -> Slice:
    """Everything that is not as it was written: pages, gaps, hashes, generations, evidence.

    The pages are looked at in the first slice (``after`` 0); the records behind the position ``after`` in their order,
    at most ``records_max`` of them. Raises nothing: what cannot be read any further is a problem itself.
    """
    found: list[Problem] = []
    previous: Record | None = None
    position, left = after, records_max
    try:
        if after == 0:
            found += [_of_the_file(fact) for (fact,) in database.conn.execute("PRAGMA integrity_check") if fact != "ok"]
        # The record at ``after`` was checked already; the next one follows on it.
        for position, item_id, evidence, *columns in database.conn.execute(_FROM, (after, records_max + 1)):
            left -= position > after
            try:
                record = to_record(tuple(columns))
            except TypeError as error:
                found.append(_of_the_file(f"the record at position {position} cannot be read: {error}"))
                continue
            if position > after:
                found += [
                    Problem(generation=record.generation, seq=record.seq, fact=fact)
                    for fact in _facts(record, previous, item_id, evidence)
                ]
            previous = record
            if left == 0:
                break
    except (sqlite3.Error, *ILL_FORMED) as error:
        return Slice(problems=(*found, _of_the_file(f"cannot be read any further: {error}")), after=None)
    return Slice(problems=tuple(found), after=None if left else position)


def _of_the_file(fact: object) -> Problem:
    return Problem(generation=None, seq=None, fact=str(fact))


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
    except ILL_FORMED as error:
        yield f"its body is no JSON object ({error})"
        return
    if item_id is not None and body.item_id != item_id:
        yield f"it is filed under item {item_id}, its body says {body.item_id}"
    if evidence is not None and body.evidence_sha256 != hashlib.sha256(evidence).hexdigest():
        yield "its evidence is not what its body vouches for"


def _facts_of_first(record: Record, previous: Record | None) -> Iterator[str]:
    try:
        body = decode_body(record.body)
    except ILL_FORMED:
        body = None
    if not isinstance(body, GenerationStarted):
        yield "a generation begins without saying so"
    elif previous is not None and body.previous != Head(
        generation=previous.generation, seq=previous.seq, hash=previous.hash.hex()
    ):
        yield "its generation does not name the record before it"
