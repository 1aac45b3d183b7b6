"""What is asked to be appended becomes durable exactly once, however the medium fails. Virtual time."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sync.ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from sync.ledger.keeper import IDLE_MS, LATER_MS, RETRY_MS, LedgerKeeper
from sync.ledger.ledger import TIDY_COMMITS, Ledger
from sync.ledger.values import Done, Failed, LedgerEvent, Opened, Returned
from sync.records import Counts, Tariff
from tests.sync.ledger.making import GARBAGE, Flaky, acknowledging, confirmed, deposit, flaky, open_ledger, service


def opener(folder: Path, connection: type[Flaky] | None = None, **changes: object) -> Callable[[], Ledger]:
    connect = partial(sqlite3.connect, factory=connection or sqlite3.Connection)
    return lambda: open_ledger(folder, connect=connect, **changes)


def kinds(folder: Path) -> list[str]:
    ledger = open_ledger(folder)
    assert ledger.verify() == []
    found = [record.kind for record in ledger.records()[1:]]
    ledger.close()
    return found


def test_the_first_step_opens_and_an_append_is_done_at_once(tmp_path: Path) -> None:
    keeper = LedgerKeeper(opener(tmp_path))
    assert keeper.next_ms() == 0
    (opened,) = keeper.step(0)
    assert isinstance(opened, Opened)
    assert opened.snapshot.counts == Counts()
    assert keeper.next_ms() is None
    counts = Counts(accepted=1, pending=1, since_emptied=1)
    assert keeper.append("t1", [deposit("i1")], 5) == [Done(ticket="t1", counts=counts)]
    keeper.close(6)
    keeper.close(6)
    assert kinds(tmp_path) == ["deposit"]


def test_a_write_given_up_half_way_leaves_no_transaction_open_and_the_ledger_is_opened_anew(tmp_path: Path) -> None:
    keeper = LedgerKeeper(opener(tmp_path))
    keeper.step(0)
    keeper.append("t1", [deposit("i1")], 0)
    mad = Tariff(version=2**63, items={})
    answer, events = keeper.ask(lambda ledger: ledger.store_tariff(mad), 1)
    assert isinstance(answer, OverflowError)
    (failed,) = events
    assert isinstance(failed, Failed)
    assert "half-way" in failed.reason
    assert keeper.append("t2", [deposit("i2")], 2) == []
    assert [type(event) for event in keeper.step(1 + RETRY_MS)] == [Done, Returned]
    assert keeper.ask(lambda ledger: ledger.store_tariff(Tariff(version=1, items={})), 2_000) == (True, [])
    keeper.close(2_001)
    assert kinds(tmp_path) == ["deposit", "deposit"]


def test_what_nobody_waits_for_rides_on_the_next_commit(tmp_path: Path) -> None:
    connection = flaky()
    keeper = LedgerKeeper(opener(tmp_path, connection))
    keeper.step(0)
    keeper.append("t1", [deposit("i1")], 0)
    connection.commits = 0
    assert keeper.append_later(confirmed("i1"), 10) == []
    keeper.append("t2", [deposit("i2")], 20)
    assert connection.commits == 1
    assert keeper.step(10 + LATER_MS) == []
    assert connection.commits == 1
    keeper.close(2000)
    assert kinds(tmp_path) == ["deposit", "tip_confirmed", "deposit"]


def test_what_nobody_waits_for_is_flushed_after_a_second_or_at_the_end(tmp_path: Path) -> None:
    connection = flaky()
    keeper = LedgerKeeper(opener(tmp_path, connection))
    keeper.step(0)
    connection.commits = 0
    keeper.append_later(service(1), 10)
    keeper.append_later(service(2), 500)
    assert keeper.next_ms() == 10 + LATER_MS
    keeper.step(9 + LATER_MS)
    assert connection.commits == 0
    keeper.step(10 + LATER_MS)
    assert connection.commits == 1
    keeper.append_later(service(3), 3000)
    keeper.close(3001)
    assert kinds(tmp_path) == ["service_entered"] * 3


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT INTO records", "COMMIT"])
def test_a_failed_append_is_done_once_after_the_ledger_is_opened_anew(
    tmp_path: Path, statement: str, took_effect: bool
) -> None:
    connection = flaky()
    keeper = LedgerKeeper(opener(tmp_path, connection))
    keeper.step(0)
    keeper.append_later(service(7), 0)
    connection.fail_at, connection.took_effect = statement, took_effect
    (event,) = keeper.append("t1", [deposit("i1")], 100)
    assert isinstance(event, Failed)
    assert keeper.append("t2", [deposit("i2")], 200) == []
    assert keeper.next_ms() == 100 + RETRY_MS
    assert keeper.step(99 + RETRY_MS) == []
    events = keeper.step(100 + RETRY_MS)
    assert [getattr(event, "ticket", None) for event in events] == ["t1", "t2", None]
    assert events[-1] == Returned()
    keeper.close(5000)
    assert kinds(tmp_path) == ["service_entered", "deposit", "deposit"]


def test_a_trouble_that_lasts_is_said_once_and_another_one_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(GARBAGE)
    keeper = LedgerKeeper(opener(tmp_path))
    (event,) = keeper.step(0)
    assert isinstance(event, Failed)
    assert "not a database" in event.reason
    assert keeper.step(RETRY_MS) == []
    answer, events = keeper.ask(lambda ledger: ledger.head(), RETRY_MS)
    assert isinstance(answer, LedgerUnavailable)
    assert "not a database" in str(answer)
    assert events == keeper.check_storage(RETRY_MS) == []
    path.unlink()
    path.mkdir()
    (event,) = keeper.step(2 * RETRY_MS)
    assert isinstance(event, Failed)
    assert keeper.append("t1", [deposit("i1")], 2 * RETRY_MS) == []
    path.rmdir()
    events = keeper.step(3 * RETRY_MS)
    assert [type(event) for event in events] == [Opened, Done, Returned]
    keeper.close(9999)
    assert kinds(tmp_path) == ["deposit"]


def test_a_question_to_a_ledger_that_was_never_opened_says_so(tmp_path: Path) -> None:
    answer, _ = LedgerKeeper(opener(tmp_path)).ask(lambda ledger: ledger.head(), 0)
    assert isinstance(answer, LedgerUnavailable)
    assert "not open yet" in str(answer)


def test_questions_are_answered_and_one_that_fails_takes_the_ledger_out_of_service(tmp_path: Path) -> None:
    connection = flaky()
    keeper = LedgerKeeper(opener(tmp_path, connection))
    keeper.step(0)
    keeper.append("t1", [deposit("i1")], 0)
    batch, events = keeper.ask(lambda ledger: ledger.batch(10, 10_000), 1)
    assert events == []
    assert not isinstance(batch, LedgerError)
    connection.fail_at, connection.took_effect = "COMMIT", True
    answer, events = keeper.ask(lambda ledger: ledger.apply(acknowledging(batch.records[-1])), 2)
    assert isinstance(answer, LedgerUnavailable)
    assert [type(event) for event in events] == [Failed]
    assert keeper.step(2 + RETRY_MS) == [Returned()]
    counts, _ = keeper.ask(lambda ledger: ledger.counts(), 2000)
    assert counts == Counts(accepted=1, acknowledged=1, since_emptied=1)
    keeper.close(3000)


def test_a_nearly_full_medium_is_reported_and_what_fell_is_recorded_all_the_same(tmp_path: Path) -> None:
    reserve = [0]
    keeper = LedgerKeeper(lambda: open_ledger(tmp_path, free_bytes_min=reserve[0]))
    keeper.step(0)
    assert keeper.check_storage(0) == []
    assert keeper._ledger is not None
    keeper._ledger._free_bytes_min = 2**60
    (event,) = keeper.check_storage(10)
    assert isinstance(event, Failed)
    assert "reserve" in event.reason
    assert [type(event) for event in keeper.append("t1", [deposit("i1")], 20)] == [Done]
    assert keeper.next_ms() == 10 + RETRY_MS
    assert keeper.step(10 + RETRY_MS) == []
    assert keeper.next_ms() == 10 + 2 * RETRY_MS
    keeper._ledger._free_bytes_min = 0
    assert keeper.step(10 + 2 * RETRY_MS) == [Returned()]
    keeper.close(9000)


def test_a_medium_that_is_nearly_full_from_the_start_opens_and_says_so(tmp_path: Path) -> None:
    keeper = LedgerKeeper(opener(tmp_path, free_bytes_min=2**60))
    assert [type(event) for event in keeper.step(0)] == [Opened, Failed]
    keeper.close(1)


def test_an_idle_moment_empties_the_log_so_that_the_next_commit_flushes_once(tmp_path: Path) -> None:
    keeper = LedgerKeeper(opener(tmp_path))
    keeper.step(0)
    for n in range(TIDY_COMMITS):
        keeper.append(f"t{n}", [deposit(f"i{n}")], n)
    assert keeper.next_ms() == TIDY_COMMITS - 1 + IDLE_MS
    before = (tmp_path / "ledger.db").stat().st_size
    assert keeper.step(TIDY_COMMITS - 2 + IDLE_MS) == []
    assert (tmp_path / "ledger.db").stat().st_size == before
    assert keeper.step(TIDY_COMMITS - 1 + IDLE_MS) == []
    assert (tmp_path / "ledger.db").stat().st_size > before
    assert keeper.next_ms() is None
    keeper.close(99_999)


def test_a_failure_while_settling_the_doubt_keeps_the_doubt(tmp_path: Path) -> None:
    connection = flaky()
    keeper = LedgerKeeper(opener(tmp_path, connection))
    keeper.step(0)
    connection.fail_at, connection.took_effect = "COMMIT", True
    keeper.append("t1", [deposit("i1"), service(1)], 0)
    connection.fail_at, connection.took_effect = "SELECT generation, seq, kind", False
    assert keeper.step(RETRY_MS) == []
    assert [type(event) for event in keeper.step(2 * RETRY_MS)] == [Done, Returned]
    keeper.close(9999)
    assert kinds(tmp_path) == ["deposit", "service_entered"]


def test_a_trouble_that_comes_while_flushing_skips_the_housekeeping(tmp_path: Path) -> None:
    connection = flaky()
    keeper = LedgerKeeper(opener(tmp_path, connection))
    keeper.step(0)
    keeper.append("t1", [deposit("i1")], 0)
    keeper.append_later(service(1), 0)
    connection.fail_at = "COMMIT"
    assert [type(event) for event in keeper.step(IDLE_MS)] == [Failed]
    assert keeper.step(IDLE_MS + RETRY_MS) == [Returned()]
    keeper.close(99_999)
    assert kinds(tmp_path) == ["deposit", "service_entered"]


def test_an_error_that_somebody_keeps_does_not_lock_the_ledger_out_of_its_own_file(tmp_path: Path) -> None:
    keeper = LedgerKeeper(opener(tmp_path))
    keeper.step(0)
    keeper.append("t1", [deposit("i1"), deposit("i2")], 0)

    def interrupted(ledger: Ledger) -> None:
        rows = ledger._db.conn.execute("SELECT * FROM records")
        raise LedgerUnavailable(f"in the middle of reading, after {rows.fetchone()}")

    kept, events = keeper.ask(interrupted, 1)
    assert [type(event) for event in events] == [Failed]
    assert keeper.step(1 + RETRY_MS) == [Returned()]
    assert isinstance(kept, LedgerUnavailable)
    keeper.close(9999)


class Unreliable(sqlite3.Connection):
    """Every statement may fail, before or after it took effect; of each object the seed decides."""

    rng = random.Random()
    rate = 0.0

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        fails = self.rng.random() < self.rate
        if fails and self.rng.random() < 0.5:
            raise sqlite3.OperationalError("disk I/O error")
        cursor = super().execute(sql, *parameters)  # type: ignore[arg-type]
        if fails:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


@pytest.mark.parametrize("seed", range(30))
def test_on_an_unreliable_medium_nothing_is_lost_nothing_doubled_and_done_means_done(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    connection: type[Unreliable] = type("UnreliableHere", (Unreliable,), {"rng": rng, "rate": 0.03})
    keeper = LedgerKeeper(lambda: open_ledger(tmp_path, connect=partial(sqlite3.connect, factory=connection)))
    events: list[LedgerEvent] = []
    now_ms = 0
    asked: list[str] = []
    later = 0
    for n in range(60):
        now_ms += rng.choice([1, 50, 1000])
        events += keeper.step(now_ms)
        if rng.random() < 0.6:
            asked.append(f"i{n}")
            events += keeper.append(f"i{n}", [deposit(f"i{n}", mono_ms=n)], now_ms)
        else:
            later += 1
            events += keeper.append_later(service(n), now_ms)
    connection.rate = 0.0
    for _ in range(3):
        now_ms += RETRY_MS
        events += keeper.step(now_ms)
    keeper.close(now_ms)
    assert [event.ticket for event in events if isinstance(event, Done)] == asked
    ledger = open_ledger(tmp_path)
    assert ledger.verify() == []
    stored = [record.stamp.mono_ms for record in ledger.records(kind="deposit")]
    assert stored == [int(item.removeprefix("i")) for item in asked]
    assert len(ledger.records(kind="service_entered")) == later
    assert [record.kind for record in ledger.records(kind="generation_started")] == ["generation_started"]
    ledger.close()


def test_a_damaged_ledger_is_told_apart_from_one_that_may_come_back() -> None:
    def damaged() -> Ledger:
        raise LedgerDamaged("its pages are damaged; set it aside")

    def unavailable() -> Ledger:
        raise LedgerUnavailable("the disk is full; free space on it")

    assert LedgerKeeper(damaged).step(0) == [Failed(reason="its pages are damaged; set it aside", damaged=True)]
    assert LedgerKeeper(unavailable).step(0) == [Failed(reason="the disk is full; free space on it", damaged=False)]
