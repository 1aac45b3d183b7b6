"""What the operator of the points server sees and decides. Each function is part of a transaction of the caller's."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from sync.points_server import intake, schema
from sync.points_server.journal import PROGRAMME
from sync.points_server.judge import payable
from sync.points_server.schema import MAIN
from sync.records import Deposit, decode_body
from sync.tariff_bounds import POINTS_MAX


class JournalLine(NamedTuple):
    """One line of the journal; two of them, adding up to 0, are one posting."""

    bin_id: str
    generation: str
    seq: int
    branch: str
    item_id: str
    account: str
    points: int
    posted_ms: int


def journal(db: Connection) -> list[JournalLine]:
    columns = [schema.journal.c[name] for name in JournalLine._fields]
    return [JournalLine(*row) for row in db.execute(select(*columns).order_by(schema.journal.c.id))]


def release(db: Connection, bin_id: str, generation: str, seq: int, branch: str, now_ms: int) -> None:
    """End a hold by paying what was shown. Raises :class:`ValueError` when that cannot be done."""
    place = {"bin_id": bin_id, "generation": generation, "seq": seq, "branch": branch}
    name = f"{bin_id}/{generation}/{seq}" + (f" of branch {branch}" if branch != MAIN else "")
    verdict = db.execute(
        select(schema.verdicts.c.verdict).where(*(schema.verdicts.c[key] == value for key, value in place.items()))
    ).scalar()
    if verdict != "held":
        raise ValueError(f"{name} is not held")
    row = db.execute(
        select(schema.records).where(*(schema.records.c[key] == value for key, value in place.items()))
    ).one()
    record = intake.to_record(row)
    try:
        body = decode_body(record.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    if not isinstance(body, Deposit):
        raise ValueError(f"{name} is no deposit")
    if not 0 <= body.points <= POINTS_MAX:
        raise ValueError(f"{name} shows {body.points} points: only 0 to {POINTS_MAX} can be paid; it stays held")
    if intake.paid_before(db, bin_id, [body.item_id]):
        raise ValueError(f"{name}: its item {body.item_id} was paid under another identity")
    intake.decide(db, bin_id, record, branch, payable(body), now_ms)


def raise_alarm(db: Connection, bin_id: str, code: str, text: str, now_ms: int) -> None:
    """One row per bin and code, counted: a bin in trouble calls often."""
    alarms = schema.alarms
    changed = db.execute(
        update(alarms)
        .where(alarms.c.bin_id == bin_id, alarms.c.code == code)
        .values(text=text, times=alarms.c.times + 1, last_ms=now_ms)
    )
    if changed.rowcount == 0:
        db.execute(insert(alarms).values(bin_id=bin_id, code=code, text=text, times=1, first_ms=now_ms, last_ms=now_ms))


def replace_code(db: Connection, bin_id: str, code_sha256: str) -> None:
    """The bin's enrolment code from now on; an earlier one and the key that it enrolled are void."""
    db.execute(delete(schema.enrolment_codes).where(schema.enrolment_codes.c.bin_id == bin_id))
    db.execute(insert(schema.enrolment_codes).values(code_sha256=code_sha256, bin_id=bin_id))
    db.execute(update(schema.bins).where(schema.bins.c.bin_id == bin_id).values(public_key=None))


def overview(db: Connection, limit: int) -> dict[str, Any]:
    """The newest ``limit`` records and journal lines, newest first; totals; alarms; bins with their last status."""
    records, verdicts, lines = schema.records, schema.verdicts, schema.journal
    place = ("bin_id", "generation", "seq", "branch")
    newest = db.execute(
        select(records, verdicts.c.verdict, verdicts.c.code)
        .join(verdicts, intake.same_place(records, verdicts), isouter=True)
        .order_by(records.c.received_ms.desc(), records.c.seq.desc())
        .limit(limit)
    )
    posted = db.execute(select(lines).order_by(lines.c.id.desc()).limit(limit))
    residents = lines.c.account != PROGRAMME
    return {
        "records": [
            {name: row[name] for name in (*place, "kind", "received_ms", "verdict", "code")}
            | {"hash": row["hash"].hex(), "body": row["body"].decode(errors="replace")}
            for row in newest.mappings()
        ],
        "journal": [dict(row) for row in posted.mappings()],
        "totals": {
            "records": _count(db, select(func.count()).select_from(records)),
            "deposits": _count(db, select(func.count()).select_from(records).where(records.c.kind == "deposit")),
            "credited": _count(db, select(func.count()).select_from(lines).where(residents)),
            "points": _count(db, select(func.sum(lines.c.points)).where(residents)),
            "held": _count(db, select(func.count()).select_from(verdicts).where(verdicts.c.verdict == "held")),
            "journal_sum": _count(db, select(func.sum(lines.c.points))),
        },
        "alarms": [dict(row) for row in db.execute(select(schema.alarms)).mappings()],
        "bins": [
            {
                "bin_id": row.bin_id,
                "enrolled": row.public_key is not None,
                "synced_ms": row.synced_ms,
                "seen_ms": row.seen_ms,
            }
            | {"status": msgspec.json.decode(row.status) if row.status else None}
            for row in db.execute(select(schema.bins).order_by(schema.bins.c.bin_id))
        ],
    }


def _count(db: Connection, query: Any) -> int:
    return int(db.execute(query).scalar() or 0)
