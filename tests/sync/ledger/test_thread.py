"""The thread around the keeper: order, answers, the end."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from sync.ledger.errors import LedgerUnavailable
from sync.ledger.ledger import Ledger
from sync.ledger.thread import LedgerThread
from sync.ledger.values import Crashed, Done, Failed, LedgerEvent, Opened
from tests.sync.ledger.making import GARBAGE, deposit, open_ledger, service

DEADLINE_S = 20


def started(folder: Path) -> tuple[LedgerThread, queue.Queue[LedgerEvent]]:
    events: queue.Queue[LedgerEvent] = queue.Queue()
    thread = LedgerThread(lambda: open_ledger(folder), events.put)
    thread.start()
    return thread, events


def test_requests_are_done_in_order_and_the_end_flushes(tmp_path: Path) -> None:
    thread, events = started(tmp_path)
    assert isinstance(events.get(timeout=DEADLINE_S), Opened)
    thread.append_later(service(1))
    thread.append("t1", [deposit("i1")])
    thread.append("t2", [deposit("i2")])
    head = thread.ask(lambda ledger: ledger.head())
    assert head.result(DEADLINE_S).seq == 4
    done = [events.get(timeout=DEADLINE_S) for _ in range(2)]
    assert [event.ticket for event in done if isinstance(event, Done)] == ["t1", "t2"]
    thread.check_storage()
    thread.append_later(service(2))
    assert thread.close(DEADLINE_S)
    assert thread.busy_ms() == 0
    ledger = open_ledger(tmp_path)
    assert [record.kind for record in ledger.records()[1:]] == [
        "service_entered",
        "deposit",
        "deposit",
        "service_entered",
    ]
    ledger.close()


def test_what_is_due_is_done_without_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.ledger.keeper.LATER_MS", 1)
    committed = threading.Event()

    class Watched(Ledger):
        def append(self, entries):  # type: ignore[no-untyped-def]
            records = super().append(entries)
            committed.set()
            return records

    def opening() -> Ledger:
        ledger = open_ledger(tmp_path)
        ledger.__class__ = Watched
        return ledger

    thread = LedgerThread(opening, lambda _: None)
    thread.start()
    thread.append_later(service(1))
    assert committed.wait(DEADLINE_S)
    assert thread.close(DEADLINE_S)


def test_a_question_fails_with_the_ledgers_own_reason(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(GARBAGE)
    thread, events = started(tmp_path)
    assert isinstance(events.get(timeout=DEADLINE_S), Failed)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        thread.ask(lambda ledger: ledger.head()).result(DEADLINE_S)
    assert thread.close(DEADLINE_S)


def test_a_stuck_medium_shows_in_how_long_it_is_busy_and_the_end_does_not_wait_for_ever(tmp_path: Path) -> None:
    thread, events = started(tmp_path)
    events.get(timeout=DEADLINE_S)
    stuck, release = threading.Event(), threading.Event()

    def hang(ledger: Ledger) -> bool:
        stuck.set()
        return release.wait(DEADLINE_S)

    answer = thread.ask(hang)
    assert stuck.wait(DEADLINE_S)
    first = thread.busy_ms()
    while thread.busy_ms() == first:
        pass
    assert not thread.close(0.01)
    release.set()
    assert answer.result(DEADLINE_S)
    assert thread.close(DEADLINE_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_programming_error_is_reported_and_ends_the_thread(tmp_path: Path) -> None:
    thread, events = started(tmp_path)
    assert isinstance(events.get(timeout=DEADLINE_S), Opened)
    thread.append("t1", [deposit("i1")])
    assert isinstance(events.get(timeout=DEADLINE_S), Done)
    thread.append("t2", [deposit("i1")])
    event = events.get(timeout=DEADLINE_S)
    assert isinstance(event, Crashed)
    assert "i1" in event.reason
    assert thread.close(DEADLINE_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_question_with_a_programming_error_does_not_leave_the_asker_waiting(tmp_path: Path) -> None:
    thread, events = started(tmp_path)
    events.get(timeout=DEADLINE_S)
    with pytest.raises(AssertionError):
        thread.ask(lambda ledger: ledger.append([])).result(DEADLINE_S)
    assert isinstance(events.get(timeout=DEADLINE_S), Crashed)
    assert thread.close(DEADLINE_S)


def test_a_wrong_question_is_the_askers_trouble_and_the_thread_goes_on(tmp_path: Path) -> None:
    thread, events = started(tmp_path)
    events.get(timeout=DEADLINE_S)

    def wrong(ledger: Ledger) -> None:
        raise ValueError("no record")

    with pytest.raises(ValueError, match="no record"):
        thread.ask(wrong).result(DEADLINE_S)
    with pytest.raises(OverflowError):
        thread.ask(lambda ledger: ledger.hash_at("g", 2**80)).result(DEADLINE_S)
    thread.append("t1", [deposit("i1")])
    assert isinstance(events.get(timeout=DEADLINE_S), Done)
    assert thread.close(DEADLINE_S)
    assert events.empty()


def test_a_thread_that_never_started_ends_at_once(tmp_path: Path) -> None:
    assert LedgerThread(lambda: open_ledger(tmp_path), lambda _: None).close(DEADLINE_S)
