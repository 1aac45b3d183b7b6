"""A file with flipped bits is damaged, unavailable or readable; whatever it is, nobody meets another exception."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kiosk import ledger_questions
from kiosk.cli.ledger import line
from sync.ledger.errors import LedgerDamaged, LedgerError
from sync.ledger.file import read_marker
from sync.ledger.ledger import Ledger
from sync.ledger.reading import LedgerReading
from sync.ledger.recovery import read_copy
from sync.ledger.values import Entry
from sync.records import Evidence, FaultRaised, HazardRaised, Record, Tariff, TariffItem, encode_evidence
from tests.sync.ledger.making import acknowledging, boot, confirmed, deposit, open_ledger, refusal, stamp

ROUNDS = 60
EVIDENCE = encode_evidence(Evidence(rules=1, passages=(), tare_mg=0, masses=(), mass_mg=None))


def evident(item_id: str) -> Entry:
    body = msgspec.structs.replace(deposit(item_id).body, evidence_sha256=hashlib.sha256(EVIDENCE).hexdigest())
    return Entry(body=body, stamp=stamp(), evidence=EVIDENCE)


def whole(folder: Path) -> tuple[bytes, bytes]:
    """A ledger with something of everything, as its file's bytes and its marker's."""
    ledger = open_ledger(folder)
    for n in range(10):
        ledger.append([evident(f"i{n}"), refusal(f"r{n}"), confirmed(f"i{n}"), boot(n)])
        fault = FaultRaised(device=f"d{n}", detail="x")
        ledger.append([Entry(body=body, stamp=stamp()) for body in (fault, HazardRaised(hazard=f"h{n}", detail="x"))])
    ledger.store_tariff(Tariff(version=1, items={"AA": TariffItem(item_code="B01-02", points=10)}))
    ledger.apply(acknowledging(ledger.records(limit=30)[-1]))
    ledger.close()
    return (folder / "ledger.db").read_bytes(), (folder / "ledger.db.open").read_bytes()


def flipped(data: bytes, rng: random.Random) -> bytes:
    """A few bits turned over; now and then a stretch of zeroes, or the end gone."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10])):
        place = rng.randrange(len(damaged))
        if rng.random() < 0.15:
            stretch = min(rng.randrange(1, 512), len(damaged) - place)
            damaged[place : place + stretch] = bytes(stretch)
        else:
            damaged[place] ^= 1 << rng.randrange(8)
    return bytes(damaged[: rng.randrange(len(damaged))] if rng.random() < 0.05 else damaged)


def read(ledger: LedgerReading) -> None:
    """All that a technician may ask, as far as a line on the terminal."""
    questions = (
        {"ask": "list", "kind": None, "limit": 1000},
        {"ask": "show", "ref": "i3"},
        {"ask": "verify", "after": 0},
    )
    for question in questions:
        try:
            reply = ledger_questions.answer(ledger, question)
        except LedgerError:
            continue
        except ValueError as error:
            if "no record" in str(error):
                continue
            raise
        msgspec.json.encode(reply)
        for record in reply.get("records", []) if question["ask"] == "list" else []:
            line(record)


def use(folder: Path) -> None:
    """All that the daemon does with its ledger."""
    ledger = open_ledger(folder)
    actions: tuple[Callable[[Ledger], object], ...] = (
        lambda ledger: ledger.opened(),
        lambda ledger: ledger.batch(500, 1 << 20),
        lambda ledger: ledger.append([deposit("new")]),
        lambda ledger: ledger.missing([deposit("new")], after=0),
        lambda ledger: ledger.held(),
        lambda ledger: ledger.verify(),
    )
    try:
        for action in actions:
            action(ledger)
    finally:
        ledger.close()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_bits_are_flipped_only_the_ledgers_own_errors_are_met(tmp_path: Path, seed: int) -> None:
    data, marker = whole(tmp_path)
    rng = random.Random(seed)
    (tmp_path / "ledger.db.open").write_bytes(flipped(marker, rng))
    read_marker(tmp_path / "ledger.db")
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "ledger.db").write_bytes(flipped(data, rng))
        (folder / "ledger.db.open").write_bytes(marker)
        for look in (read_whole_copy, use):
            try:
                look(folder)
            except LedgerError:
                pass
            except Exception as error:
                raise AssertionError(f"seed {seed}, round {number}: {error!r}") from error


def read_whole_copy(folder: Path) -> None:
    with read_copy(folder / "ledger.db") as copy:
        read(copy)


def damaged(folder: Path, *statements: str) -> None:
    """Change a file behind its own schema: what SQLite reads back is then not of the type that was written."""
    connection = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE type = 'table'")
    connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ' CHECK (length(hash) = 32)', '')")
    connection.close()
    connection = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    connection.execute("DROP TRIGGER records_are_never_changed")
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "body = 7",
        "hash = 'text'",
        "mono_ms = x'00'",
        "wall_ms = 'noon'",
        "kind = CAST(x'ff' AS TEXT)",
        "generation = x'00'",
        "boot_id = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_record_of_other_types_than_its_table_is_damage_and_a_problem(tmp_path: Path, change: str) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1"), confirmed("i1"), boot(1)])
    ledger.close()
    damaged(tmp_path, f"UPDATE records SET {change} WHERE position = 2")  # noqa: S608
    with read_copy(tmp_path / "ledger.db") as copy:
        with pytest.raises(LedgerDamaged, match="'kiosk ledger renew'"):
            copy.records()
        with pytest.raises(LedgerDamaged):
            copy.batch(10, 10_000)
        assert copy.verify()


def test_a_ledger_without_its_state_or_records_is_damaged(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    damaged(tmp_path, "DELETE FROM state", "DROP TRIGGER records_are_never_deleted", "DELETE FROM records")
    with read_copy(tmp_path / "ledger.db") as copy:
        for question in (copy.head, lambda: copy.batch(1, 1), copy.opened):
            with pytest.raises(LedgerError):
                question()


def test_a_record_that_cannot_be_read_still_has_its_line() -> None:
    for kind, body in (
        ("deposit", b"\xff"),
        ("deposit", b"[" * 10_000),
        ("deposit", b"[1]"),
        ("deposit", b"7"),
        ("deposit", b"{}"),
        ("boot", b"\xff"),
        ("hazard_raised", b'{"hazard":"x"}'),
        ("tip_failed", b'{"item_id":1}'),
    ):
        record = Record(generation="g", seq=1, kind=kind, stamp=stamp(), body=body, hash=bytes(32))
        assert line(ledger_questions.record_json(record)).endswith(f"{kind}  unreadable")


@pytest.mark.parametrize("wall_ms", [2**62, -(2**62), 10**15])
def test_a_record_of_an_impossible_date_still_has_its_line(wall_ms: int) -> None:
    when = msgspec.structs.replace(stamp(5_000), wall_ms=wall_ms)
    record = Record(generation="g", seq=1, kind="boot", stamp=when, body=b"{}", hash=bytes(32))
    assert line(ledger_questions.record_json(record)) == "g:1  boot+5s  boot"


def test_a_number_where_bytes_were_written_is_damage_and_not_so_many_zeroes(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    generation = ledger.append([deposit("i1"), boot(1)])[0].generation
    ledger.close()
    damaged(tmp_path, "UPDATE evidence SET data = 3", "UPDATE records SET hash = 3 WHERE position = 2")
    with read_copy(tmp_path / "ledger.db") as copy:
        for question in (lambda: copy.evidence("i1"), lambda: copy.hash_at(generation, 2)):
            with pytest.raises(LedgerDamaged, match="a BLOB reads as int"):
                question()
