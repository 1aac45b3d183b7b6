"""What may be asked of a ledger, as JSON: the same answers from the running daemon and from a copy without it."""

from __future__ import annotations

from typing import Any

import msgspec

from sync.ledger.reading import LedgerReading
from sync.records import Record

LIST_MAX = 10_000


def answer(ledger: LedgerReading, question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question. Raises ValueError for one that makes no sense, :class:`sync.ledger.errors.LedgerError`."""
    match question:
        case {"ask": "list", "kind": None | str() as kind, "limit": int(limit)} if 0 < limit <= LIST_MAX:
            records = ledger.records(kind=kind, limit=limit, newest_first=True)
            return {"records": [record_json(record) for record in reversed(records)]}
        case {"ask": "show", "ref": str(ref)}:
            return show(ledger, ref)
        case {"ask": "verify"}:
            problems = ledger.verify()
            return {
                "records": ledger.position,
                "problems": [
                    {"generation": problem.generation, "seq": problem.seq, "fact": problem.fact} for problem in problems
                ],
            }
        case _:
            raise ValueError(f"the ledger does not know how to answer {question!r}")


def show(ledger: LedgerReading, ref: str) -> dict[str, Any]:
    """A record by item id (or the beginning of one that is unique), or by generation:seq; with evidence and fate."""
    record = find(ledger, ref)
    if record is None:
        raise ValueError(f"no record {ref!r}: give an item id, or generation:seq, as 'kiosk ledger list' shows them")
    shown: dict[str, Any] = record_json(record)
    item_id = shown["body"].get("item_id")
    if item_id:
        evidence = ledger.evidence(item_id)
        shown["evidence"] = None if evidence is None else msgspec.json.decode(evidence)
        shown["tip"] = [
            record_json(found) for kind in ("tip_confirmed", "tip_failed") if (found := ledger.find_item(item_id, kind))
        ]
    shown["fate"] = fate(ledger, record)
    return shown


def find(ledger: LedgerReading, ref: str) -> Record | None:
    generation, colon, seq = ref.partition(":")
    if colon and seq.isdecimal():
        found = ledger.records(after=(generation, int(seq) - 1), limit=1)
        return found[0] if found and (found[0].generation, found[0].seq) == (generation, int(seq)) else None
    return ledger.find_item(ref, "deposit") or ledger.find_item(ref, "refusal")


def fate(ledger: LedgerReading, record: Record) -> str:
    """What the server has said of it so far."""
    for held in ledger.held():
        if (held.record.generation, held.record.seq) == (record.generation, record.seq):
            return f"held: {held.text} ({held.code})"
    return "acknowledged" if ledger.is_acknowledged(record.generation, record.seq) else "pending"


def record_json(record: Record) -> dict[str, Any]:
    """A record as people read it; its body is decoded, its hash is hex."""
    try:
        body: Any = msgspec.json.decode(record.body)
    except msgspec.DecodeError:
        body = {"unreadable": record.body.hex()}
    return {
        "generation": record.generation,
        "seq": record.seq,
        "kind": record.kind,
        "boot_id": record.stamp.boot_id,
        "mono_ms": record.stamp.mono_ms,
        "wall_ms": record.stamp.wall_ms,
        "clock": record.stamp.clock,
        "hash": record.hash.hex(),
        "body": body,
    }
