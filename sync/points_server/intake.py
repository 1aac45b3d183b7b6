"""Taking records in: what is new is stored, judged and posted, in one transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select

from sync.points_server import schema, tariffs
from sync.points_server.chain import Known, between, branch_of, common, find, has_more, nothing_of, previous_head, walk
from sync.points_server.journal import post
from sync.points_server.judge import Held, Payable, judge
from sync.points_server.schema import MAIN
from sync.records import Record, Stamp
from sync.wire import Ack, SyncRequest, Verdict, WireHead

REPEATED = Held(code="item_repeated", text="this item was paid under another identity")


@dataclass(slots=True, kw_only=True)
class Taken:
    """What came of a request's records."""

    ack: Ack
    fork: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)


def take_in(db: Connection, bin_id: str, request: SyncRequest, batch: Sequence[Record], now_ms: int) -> Taken:
    """Store what is new and follows on what is known, and say how far all is durable once this is committed.

    ``batch``: the request's records, of one generation and without a gap.
    """
    head = request.head
    if not batch:
        return _called_in(db, bin_id, request)
    first, last = batch[0], batch[-1]
    known: dict[int, list[Known]] = {}
    for row in between(db, bin_id, first.generation, first.seq - 1, last.seq):
        known.setdefault(row.seq, []).append(row)
    alarms: list[tuple[str, str]] = []
    if first.seq == 1 and all(row.hash != first.hash for row in known.get(1, ())):
        earlier = previous_head(first)
        if earlier and not find(db, bin_id, earlier):
            if earlier.generation in request.generations:
                return Taken(ack=common(db, bin_id, earlier.generation, earlier.seq, request.disbelieved))
            missing = f"records up to {earlier.generation}/{earlier.seq} are missing and the bin has them no more"
            alarms.append(("generation_missing", missing))
    tip, fresh, broken = walk(batch, known)
    if broken:
        alarms.append(("chain_broken", broken))
    _store(db, bin_id, fresh, now_ms)
    reached = [record for record in batch if tip and record.seq <= tip.seq]
    taken = Taken(
        ack=Ack(generation=first.generation, acked_seq=tip.seq, acked_hash=tip.hash.hex())
        if tip
        else common(db, bin_id, first.generation, first.seq - 1, request.disbelieved),
        fork=any(branch_of(known, record) != MAIN for record in reached) or has_more(db, bin_id, head),
        alarms=alarms,
    )
    if reached:
        taken.verdicts = _told(db, bin_id, reached, known)
    return taken


def released(db: Connection, bin_id: str, held: Iterable[WireHead]) -> list[Verdict]:
    """Of what the bin keeps as held: what is held no longer, or never was by what this database knows."""
    wanted: dict[str, dict[int, str]] = {}
    for place in held:
        wanted.setdefault(place.generation, {})[place.seq] = place.hash
    ended: list[Verdict] = []
    for generation, places in wanted.items():
        rows = db.execute(
            select(schema.records.c.seq, schema.records.c.hash, schema.verdicts.c.verdict)
            .join(schema.verdicts, same_place(schema.records, schema.verdicts), isouter=True)
            .where(
                schema.records.c.bin_id == bin_id,
                schema.records.c.generation == generation,
                schema.records.c.seq.in_(list(places)),
            )
        )
        for seq, hash_, verdict in rows:
            if places[seq] == hash_.hex() and verdict != "held":
                ended.append(Verdict(generation=generation, seq=seq, verdict="released", code="released", text=""))
    return ended


def judge_again(db: Connection, bin_id: str, version: int, now_ms: int) -> None:
    """Pay what was held only because this tariff version was not known to have been issued to the bin."""
    rows = db.execute(
        select(schema.records)
        .join(schema.verdicts, same_place(schema.records, schema.verdicts))
        .where(
            schema.records.c.bin_id == bin_id,
            schema.verdicts.c.verdict == "held",
            schema.verdicts.c.code == "unknown_tariff",
        )
    ).all()
    issued = {number: tariff for number, tariff in tariffs.issued_to(db, bin_id).items() if number == version}
    for row in rows:
        record = to_record(row)
        match judge(record, row.branch, issued):
            case Payable() as due:
                decide(db, bin_id, record, row.branch, due, now_ms)
            case Held(code="unknown_tariff") | None:
                pass
            case Held() as held:
                decide(db, bin_id, record, row.branch, held, now_ms)


def decide(db: Connection, bin_id: str, record: Record, branch: str, outcome: Payable | Held, now_ms: int) -> None:
    """Replace what was said about a record: pay and release it, or hold it for another reason.

    What was paid meanwhile under another identity is held, whoever asks for it to be paid.
    """
    place = {"bin_id": bin_id, "generation": record.generation, "seq": record.seq, "branch": branch}
    if isinstance(outcome, Payable) and paid_before(db, bin_id, [outcome.item_id]):
        outcome = REPEATED
    if isinstance(outcome, Payable):
        post(db, [(place, outcome)], now_ms)
        word = {"verdict": "released", "code": "released", "text": ""}
    else:
        word = {"verdict": "held", "code": outcome.code, "text": outcome.text}
    db.execute(delete(schema.verdicts).where(*(schema.verdicts.c[name] == value for name, value in place.items())))
    db.execute(insert(schema.verdicts).values(**place, **word, changed_ms=now_ms))


def paid_before(db: Connection, bin_id: str, item_ids: Sequence[str]) -> set[str]:
    """Which of the items the journal has already, under whatever identity."""
    if not item_ids:
        return set()
    columns = schema.journal.c
    rows = db.execute(select(columns.item_id).where(columns.bin_id == bin_id, columns.item_id.in_(item_ids)))
    return set(rows.scalars())


def to_record(row: Any) -> Record:
    """A row of the records table."""
    stamp = Stamp(boot_id=row.boot_id, mono_ms=row.mono_ms, wall_ms=row.wall_ms, clock=row.clock)
    return Record(generation=row.generation, seq=row.seq, kind=row.kind, stamp=stamp, body=row.body, hash=row.hash)


def _called_in(db: Connection, bin_id: str, request: SyncRequest) -> Taken:
    """A request without records: everything up to the bin's head was acknowledged once."""
    head = request.head
    if find(db, bin_id, head):
        ack = Ack(generation=head.generation, acked_seq=head.seq, acked_hash=head.hash)
        return Taken(ack=ack, fork=has_more(db, bin_id, head))
    ack = common(db, bin_id, head.generation, head.seq, request.disbelieved)
    if ack.acked_seq < head.seq:
        return Taken(ack=ack)
    return Taken(ack=nothing_of(head.generation), fork=True)


# --- storing and telling --------------------------------------------------------------------------------------------


def _store(db: Connection, bin_id: str, fresh: Sequence[tuple[Record, str]], now_ms: int) -> None:
    if not fresh:
        return
    issued = tariffs.issued_to(db, bin_id)
    due: list[tuple[dict[str, Any], Payable]] = []
    rows: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    judged = [(record, branch, judge(record, branch, issued)) for record, branch in fresh]
    paid = paid_before(db, bin_id, [outcome.item_id for _, _, outcome in judged if isinstance(outcome, Payable)])
    for record, branch, outcome in judged:
        place = {"bin_id": bin_id, "generation": record.generation, "seq": record.seq, "branch": branch}
        stamp = record.stamp
        columns = {"boot_id": stamp.boot_id, "mono_ms": stamp.mono_ms, "wall_ms": stamp.wall_ms, "clock": stamp.clock}
        content = {"kind": record.kind, "body": record.body, "hash": record.hash, "received_ms": now_ms}
        rows.append({**place, **columns, **content})
        if isinstance(outcome, Payable):
            if outcome.item_id not in paid:
                paid.add(outcome.item_id)
                due.append((place, outcome))
                continue
            outcome = REPEATED
        if outcome:
            held.append({**place, "verdict": "held", "code": outcome.code, "text": outcome.text, "changed_ms": now_ms})
    db.execute(insert(schema.records), rows)
    if held:
        db.execute(insert(schema.verdicts), held)
    post(db, due, now_ms)


def _told(db: Connection, bin_id: str, reached: Sequence[Record], known: dict[int, list[Known]]) -> list[Verdict]:
    """Every verdict on what the request carried, however often it was told before."""
    columns = schema.verdicts.c
    rows = db.execute(
        select(columns.seq, columns.branch, columns.verdict, columns.code, columns.text)
        .where(
            columns.bin_id == bin_id,
            columns.generation == reached[0].generation,
            columns.seq.between(reached[0].seq, reached[-1].seq),
        )
        .order_by(columns.seq)
    )
    branches = {record.seq: branch_of(known, record) for record in reached}
    return [
        Verdict(generation=reached[0].generation, seq=seq, verdict=verdict, code=code, text=text)
        for seq, branch, verdict, code, text in rows
        if branches[seq] == branch
    ]


def same_place(left: Any, right: Any) -> Any:
    return and_(*(left.c[name] == right.c[name] for name in ("bin_id", "generation", "seq", "branch")))
