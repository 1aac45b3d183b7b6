"""Appending, acknowledging, holding, asking."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from pathlib import Path

import pytest

from sync.exchange import Apply, Hold, Release
from sync.ledger.ledger import Ledger
from sync.ledger.reading import DAY_MS, LedgerReading
from sync.ledger.values import Entry
from sync.records import (
    ZERO_HASH,
    CappedCredit,
    Counts,
    Emptied,
    FaultCleared,
    FaultRaised,
    HazardCleared,
    HazardRaised,
    Stamp,
    Tariff,
    TariffItem,
    chain_hash,
    decode_body,
)
from tests.sync.ledger.making import (
    acknowledging,
    boot,
    confirmed,
    deposit,
    failed,
    open_ledger,
    refusal,
    service,
    stamp,
)


def test_records_form_a_chain_without_gaps_that_survives_reopening(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([boot(0), deposit("i1")])
    ledger.close()
    ledger = open_ledger(tmp_path)
    ledger.append([confirmed("i1"), deposit("i2")])
    records = ledger.records()
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert [record.kind for record in records] == [
        "generation_started",
        "boot",
        "deposit",
        "tip_confirmed",
        "deposit",
    ]
    previous = ZERO_HASH
    for record in records:
        previous = chain_hash(
            previous,
            generation=record.generation,
            seq=record.seq,
            kind=record.kind,
            stamp=record.stamp,
            body=record.body,
        )
        assert record.hash == previous
    assert ledger.head().hash == previous.hex()
    assert ledger.verify() == []
    ledger.close()


def test_the_stamp_is_kept_as_it_was_wall_time_or_none(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    trusted = Stamp(boot_id="boot-9", mono_ms=7, wall_ms=1_800_000_000_000, clock="trusted")
    entry = Entry(body=boot(0).body, stamp=trusted)
    assert ledger.append([entry, boot(0, mono_ms=8)])[0].stamp == trusted
    assert [record.stamp for record in ledger.records(kind="boot")] == [trusted, stamp(8)]
    ledger.close()


def test_append_returns_what_is_stored_and_find_item_and_evidence_find_it(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    (stored,) = ledger.append([deposit("i1")])
    ledger.append([refusal("i2"), confirmed("i1")])
    assert ledger.find_item("i1") == stored == ledger.records(kind="deposit")[0]
    assert ledger.evidence("i1") == b"evidence of i1"
    assert ledger.evidence("i2") == b"evidence of i2"
    assert ledger.evidence("i3") is None
    assert ledger.find_item("i2") is None
    assert ledger.find_item("i1", "tip_confirmed") is not None
    ledger.close()


def test_a_second_deposit_of_an_item_is_a_programming_error_and_changes_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    head = ledger.head()
    with pytest.raises(AssertionError, match="i1"):
        ledger.append([boot(0), deposit("i1", points=9)])
    assert ledger.head() == head
    assert ledger.counts().accepted == 1
    ledger.append([deposit("i2")])
    assert ledger.verify() == []
    ledger.close()


def test_an_oversized_body_oversized_evidence_and_foreign_evidence_are_programming_errors(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    with pytest.raises(AssertionError, match="a body of"):
        ledger.append([Entry(body=Emptied(note="x" * 70_000), stamp=stamp())])
    with pytest.raises(AssertionError, match="evidence of"):
        ledger.append([Entry(body=deposit("i1").body, stamp=stamp(), evidence=bytes(2_000_000))])
    with pytest.raises(AssertionError, match="other evidence"):
        ledger.append([Entry(body=deposit("i1").body, stamp=stamp(), evidence=b"of something else")])
    with pytest.raises(AssertionError):
        ledger.append([])
    assert ledger.head().seq == 1
    ledger.close()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM records",
        "DELETE FROM records WHERE seq = 2",
        "UPDATE records SET body = x''",
        "UPDATE OR REPLACE records SET position = 1 WHERE position = 2",
        "INSERT OR REPLACE INTO records SELECT * FROM records WHERE seq = 2",
        "REPLACE INTO records (position, generation, seq, kind, boot_id, mono_ms, clock, body, hash, item_id) "
        "SELECT 9, 'g', 9, kind, boot_id, mono_ms, clock, body, hash, item_id FROM records WHERE seq = 2",
    ],
)
def test_no_record_can_be_changed_or_deleted(tmp_path: Path, sql: str) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    before = ledger.records()
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        ledger._db.conn.execute(sql)
    assert ledger.records() == before
    ledger.close()


def test_records_are_read_from_either_end_by_kind_and_place(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1"), confirmed("i1"), deposit("i2"), confirmed("i2")])
    generation = ledger.head().generation

    def seqs(**question: object) -> list[int]:
        return [record.seq for record in ledger.records(**question)]  # type: ignore[arg-type]

    assert seqs() == [1, 2, 3, 4, 5]
    assert seqs(limit=2) == [1, 2]
    assert seqs(after=(generation, 3)) == [4, 5]
    assert seqs(after=(generation, 0)) == [1, 2, 3, 4, 5]
    assert seqs(newest_first=True, limit=2) == [5, 4]
    assert seqs(newest_first=True, after=(generation, 3)) == [2, 1]
    assert seqs(kind="deposit") == [2, 4]
    assert seqs(after=("another", 1)) == seqs(after=(generation, 99), newest_first=True) == []
    assert seqs(kind="deposit", newest_first=True) == [4, 2]
    ledger.close()


def test_the_cursor_moves_up_and_down_and_with_it_pending_and_acknowledged(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    records = ledger.append([deposit("i1"), deposit("i2"), deposit("i3")])
    assert ledger.cursor() is None
    assert ledger.counts() == Counts(accepted=3, pending=3, since_emptied=3)
    assert ledger.apply(acknowledging(records[1])) == Counts(accepted=3, acknowledged=2, pending=1, since_emptied=3)
    assert [record.seq for record in ledger.batch(10, 10_000).records] == [4]
    assert ledger.apply(acknowledging(records[0])) == Counts(accepted=3, acknowledged=1, pending=2, since_emptied=3)
    assert [record.seq for record in ledger.batch(10, 10_000).records] == [3, 4]
    nothing = Apply(generation=records[0].generation, seq=0, hash=ZERO_HASH)
    assert ledger.apply(nothing) == Counts(accepted=3, pending=3, since_emptied=3)
    assert ledger.cursor() is None
    ledger.apply(acknowledging(records[2]))
    cursor = ledger.cursor()
    assert cursor is not None
    assert (cursor.seq, cursor.hash) == (4, records[2].hash.hex())
    ledger.apply(acknowledging(records[1]))
    generation = records[0].generation
    assert [ledger.is_acknowledged(generation, seq) for seq in (1, 2, 3, 4, 5)] == [True, True, True, False, False]
    assert not ledger.is_acknowledged("another", 1)
    assert ledger.position == LedgerReading.position.fget(ledger) == 4  # type: ignore[attr-defined]
    ledger.apply(acknowledging(records[2]))
    assert ledger.batch(10, 10_000).records == ()
    ledger.close()


def test_an_acknowledgement_with_a_foreign_hash_moves_nothing_and_holds_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    (record,) = ledger.append([deposit("i1")])
    hold = Hold(generation=record.generation, seq=2, code="c", text="t")
    wrong = [
        Apply(generation=record.generation, seq=2, hash=bytes(32), held=(hold,)),
        Apply(generation=record.generation, seq=3, hash=record.hash, held=(hold,)),
        Apply(generation="another", seq=2, hash=record.hash, held=(hold,)),
        Apply(generation="another", seq=0, hash=ZERO_HASH, held=(hold,)),
        Apply(generation=record.generation, seq=0, hash=record.hash, held=(hold,)),
    ]
    for answer in wrong:
        assert ledger.apply(answer) is None
    assert ledger.counts() == Counts(accepted=1, pending=1, since_emptied=1)
    assert ledger.held() == []
    ledger.close()


def test_a_hold_is_counted_asked_after_repeated_and_ended(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    records = ledger.append([deposit("i1"), deposit("i2"), boot(0)])
    generation = records[0].generation

    def hold(seq: int, code: str) -> Hold:
        return Hold(generation=generation, seq=seq, code=code, text="why")

    unknown = (hold(99, "x"), Hold(generation="another", seq=1, code="x", text=""))
    counts = ledger.apply(acknowledging(records[2], held=(hold(2, "price"), hold(4, "body"), *unknown)))
    assert counts == Counts(accepted=2, acknowledged=1, held=1, since_emptied=2)
    assert [(held.record.seq, held.code) for held in ledger.held()] == [(2, "price"), (4, "body")]
    assert [head.seq for head in ledger.batch(1, 1).held] == [2, 4]
    ledger.apply(acknowledging(records[2], held=(hold(2, "other"),)))
    assert [held.code for held in ledger.held()] == ["other", "body"]
    ledger.close()
    ledger = open_ledger(tmp_path)
    released = (Release(generation=generation, seq=2), Release(generation=generation, seq=3))
    counts = ledger.apply(acknowledging(records[2], released=released))
    assert counts == Counts(accepted=2, acknowledged=2, since_emptied=2)
    assert [held.record.seq for held in ledger.held()] == [4]
    ledger.apply(acknowledging(records[2], held=(hold(2, "again"),)))
    assert ledger.counts().held == 1
    ledger.close()


@pytest.mark.parametrize("seed", range(20))
def test_accepted_is_acknowledged_plus_pending_plus_held_after_any_history(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    ledger = open_ledger(tmp_path)
    items = 0
    on_hold: set[tuple[str, int]] = set()
    acknowledged: tuple[str, int] | None = None
    for _ in range(60):
        match rng.choice(["append", "append", "append", "apply", "apply", "reopen", "fork", "empty"]):
            case "append":
                entries = [deposit(f"i{items + n}") for n in range(rng.randint(1, 3))] + [service(items)]
                items += len(entries) - 1
                ledger.append(rng.sample(entries, len(entries)))
            case "apply":
                records = ledger.records()
                chosen = rng.choice(records)
                held = tuple(
                    Hold(generation=r.generation, seq=r.seq, code="c", text="") for r in records if rng.random() < 0.1
                )
                released = tuple(Release(generation=r.generation, seq=r.seq) for r in records if rng.random() < 0.1)
                assert ledger.apply(acknowledging(chosen, held=held, released=released)) is not None
                on_hold |= {(hold.generation, hold.seq) for hold in held}
                on_hold -= {(release.generation, release.seq) for release in released}
                acknowledged = (chosen.generation, chosen.seq)
            case "reopen":
                ledger.close()
                ledger = open_ledger(tmp_path)
            case "fork":
                ledger.begin_generation("fork", stamp(), instead_of=ledger.head().generation)
            case "empty":
                ledger.append([Entry(body=Emptied(note=""), stamp=stamp())])
        expected = _counted(ledger, on_hold, acknowledged)
        assert ledger.counts() == expected
        assert LedgerReading.counts(ledger) == expected
        assert expected.accepted == expected.acknowledged + expected.pending + expected.held == items
    assert ledger.verify() == []
    ledger.close()


def _counted(ledger: Ledger, on_hold: set[tuple[str, int]], acknowledged: tuple[str, int] | None) -> Counts:
    """The same counts from nothing but the list of all records."""
    accepted = pending = held = since_emptied = 0
    behind_cursor = acknowledged is None
    for record in ledger.records():
        identity = (record.generation, record.seq)
        if record.kind == "deposit":
            accepted += 1
            since_emptied += 1
            pending += behind_cursor
            held += not behind_cursor and identity in on_hold
        elif record.kind == "emptied":
            since_emptied = 0
        behind_cursor = behind_cursor or identity == acknowledged
    return Counts(
        accepted=accepted,
        acknowledged=accepted - pending - held,
        pending=pending,
        held=held,
        since_emptied=since_emptied,
    )


def test_a_batch_stops_at_its_limits_but_is_never_stuck_on_a_large_record(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    records = ledger.append([Entry(body=Emptied(note="x" * 1000), stamp=stamp(n)) for n in range(5)])
    ledger.apply(acknowledging(records[0]))
    size = len(records[0].body)
    assert len(ledger.batch(3, 10**6).records) == 3
    assert len(ledger.batch(10, 2 * size).records) == 2
    assert len(ledger.batch(10, 2 * size - 1).records) == 1
    assert ledger.batch(10, 1).records == (records[1],)
    assert ledger.batch(10, 1).head == ledger.head()
    ledger.close()


def test_the_snapshot_names_what_is_open_and_what_is_raised(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    assert ledger.opened().cap_ms == 0
    ledger.append([deposit("open"), deposit("stored"), confirmed("stored"), deposit("jammed"), failed("jammed")])
    ledger.append(
        [
            Entry(body=body, stamp=stamp(n))
            for n, body in enumerate(
                [
                    HazardRaised(hazard="heat", detail=""),
                    HazardRaised(hazard="smoke", detail=""),
                    HazardCleared(hazard="heat", reason="cooled down"),
                    HazardCleared(hazard="flood", reason="never was"),
                    FaultRaised(device="scale", detail="gone"),
                    FaultRaised(device="gate", detail="stall"),
                    FaultCleared(device="gate"),
                ]
            )
        ]
    )
    ledger.close()
    ledger = open_ledger(tmp_path)
    snapshot = ledger.opened()
    assert snapshot.open_deposits == ("open",)
    assert snapshot.hazards == ("smoke",)
    assert snapshot.faults == ("scale",)
    assert snapshot.counts == ledger.counts()
    assert snapshot.head == ledger.head()
    assert snapshot.tariff is None
    ledger.close()


def test_the_snapshot_holds_the_paid_credits_of_the_last_day_of_the_cap_clock(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([boot(0), deposit("old", cap_ms=5), deposit("edge", cap_ms=10), boot(11)])
    ledger.append([deposit("unpaid", cap_ms=20, points=0), deposit("new", cap_ms=30, ref="k1:bb", points=7)])
    ledger.append([boot(10 + DAY_MS)])
    snapshot = ledger.opened()
    assert snapshot.cap_ms == 10 + DAY_MS
    assert snapshot.credits == (
        CappedCredit(ref="k1:aa", cap_ms=10, points=5),
        CappedCredit(ref="k1:bb", cap_ms=30, points=7),
    )
    ledger.append([boot(12 + DAY_MS)])
    assert [credit.cap_ms for credit in ledger.opened().credits] == [30]
    ledger.append([deposit("late", cap_ms=31 + DAY_MS)])
    assert [credit.cap_ms for credit in ledger.opened().credits] == [31 + DAY_MS]
    ledger.close()


def test_the_newest_tariff_is_remembered_and_no_version_changes_its_prices(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    first = Tariff(version=1, items={"AA": TariffItem(item_code="a", points=5)})
    second = Tariff(version=2, items={"AA": TariffItem(item_code="a", points=6)})
    assert ledger.store_tariff(first)
    assert ledger.store_tariff(second)
    assert not ledger.store_tariff(Tariff(version=1, items={"AA": TariffItem(item_code="a", points=9)}))
    assert ledger.tariff() == second
    assert ledger.store_tariff(first)
    ledger.close()
    ledger = open_ledger(tmp_path)
    assert ledger.opened().tariff == first
    ledger.close()


def test_unknown_kinds_are_carried_counted_as_nothing_and_sent_verbatim(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    head = ledger.head()
    body = b'{ "kind":"correction",  "item_id":"i1", "later":[1,2.50] }'
    hash_ = chain_hash(
        bytes.fromhex(head.hash), generation=head.generation, seq=2, kind="correction", stamp=stamp(3), body=body
    )
    ledger._db.conn.execute(
        "INSERT INTO records (position, generation, seq, kind, boot_id, mono_ms, clock, body, hash, item_id) "
        "VALUES (2, ?, 2, 'correction', 'boot-1', 3, 'unsure', ?, ?, NULL)",
        (head.generation, body, hash_),
    )
    ledger.close()
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    batch = ledger.batch(10, 10_000)
    assert batch.records[1].body == body
    assert batch.records[1].kind == "correction"
    assert ledger.opened().counts.accepted == 1
    assert ledger.verify() == []
    ledger.close()


def test_stored_bytes_are_the_ones_that_were_hashed(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    (record,) = ledger.append([deposit("i1")])
    assert ledger.records(kind="deposit")[0].body == record.body
    body = decode_body(record.body)
    evidence = ledger.evidence("i1")
    assert evidence is not None
    assert getattr(body, "evidence_sha256", None) == hashlib.sha256(evidence).hexdigest()
    ledger.close()
