"""What may be asked of a ledger, as JSON: the same answers from the running daemon and from a copy without it."""

from __future__ import annotations

from typing import Any

import msgspec

from sync.ledger.ledger import Ledger
from sync.ledger.reading import LedgerReading
from sync.records import Record

LIST_MAX = 10_000
SEQ_MAX = 2**62
"""More records than any ledger holds; sums of it still fit SQLite's integers."""
SLICE_RECORDS = 2_000
"""Records that are verified in one go, before whatever has fallen meanwhile is recorded."""


def answer(ledger: LedgerReading, question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question. Raises ValueError for one that makes no sense, :class:`sync.ledger.errors.LedgerError`."""
    match question:
        case {"ask": "list", "kind": kind, "limit": int(limit)} if is_kind(kind) and 0 < limit <= LIST_MAX:
            records = ledger.records(kind=kind, limit=limit, newest_first=True)
            return {"records": [record_json(record) for record in reversed(records)]}
        case {"ask": "show", "ref": str(ref)}:
            return show(ledger, ref)
        case {"ask": "verify", "after": int(after)} if 0 <= after <= SEQ_MAX:
            # An open ledger records between two slices; a copy holds nobody up, and is made anew for each question.
            checked = ledger.check(after=after, records_max=SLICE_RECORDS if isinstance(ledger, Ledger) else SEQ_MAX)
            return {
                "records": ledger.position,
                "problems": [
                    {"generation": problem.generation, "seq": problem.seq, "fact": problem.fact}
                    for problem in checked.problems
                ],
                "after": checked.after,
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
    if item_id and isinstance(item_id, str):
        evidence = ledger.evidence(item_id)
        shown["evidence"] = None if evidence is None else readable(evidence)
        shown["tip"] = [
            record_json(found) for kind in ("tip_confirmed", "tip_failed") if (found := ledger.find_item(item_id, kind))
        ]
    shown["fate"] = fate(ledger, record)
    return shown


def is_kind(kind: object) -> bool:
    return kind is None or (isinstance(kind, str) and kind.isprintable())


def find(ledger: LedgerReading, ref: str) -> Record | None:
    if not ref.isprintable():
        return None  # half a character from a terminal, which SQLite takes for no text
    generation, colon, seq = ref.partition(":")
    if colon and seq.isdecimal():
        # Longer ones are no seq, and Python refuses to read very long ones.
        wanted = int(seq) if len(seq) < 20 else 0
        found = ledger.records(after=(generation, wanted - 1), limit=1) if 0 < wanted <= SEQ_MAX else []
        return found[0] if found and (found[0].generation, found[0].seq) == (generation, wanted) else None
    return ledger.find_item(ref, "deposit") or ledger.find_item(ref, "refusal")


def fate(ledger: LedgerReading, record: Record) -> str:
    """What the server has said of it so far."""
    for held in ledger.held():
        if (held.record.generation, held.record.seq) == (record.generation, record.seq):
            return f"held: {held.text} ({held.code})"
    return "acknowledged" if ledger.is_acknowledged(record.generation, record.seq) else "pending"


def record_json(record: Record) -> dict[str, Any]:
    """A record as people read it; its body is decoded, its hash is hex."""
    return {
        "generation": record.generation,
        "seq": record.seq,
        "kind": record.kind,
        "boot_id": record.stamp.boot_id,
        "mono_ms": record.stamp.mono_ms,
        "wall_ms": record.stamp.wall_ms,
        "clock": record.stamp.clock,
        "hash": record.hash.hex(),
        "body": readable(record.body),
    }


def readable(data: bytes) -> dict[str, Any]:
    """A stored JSON object; what is none any more is shown in hex under the one name ``unreadable``."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {"unreadable": data.hex()}
