"""Accidents to what is written are found, and named by record."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sync.ledger.errors import LedgerDamaged
from sync.ledger.values import Problem
from sync.records import ZERO_HASH, chain_hash
from tests.sync.ledger.making import deposit, open_ledger, service, stamp


def tampered(folder: Path, *statements: str) -> None:
    """Change the closed file behind its triggers, as an accident or an editor would."""
    connection = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    connection.execute("DROP TRIGGER records_are_never_changed")
    connection.execute("DROP TRIGGER records_are_never_deleted")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def a_ledger(folder: Path) -> None:
    ledger = open_ledger(folder)
    ledger.append([deposit("i1"), deposit("i2"), service(1), service(2)])
    ledger.begin_generation("fork", stamp(), instead_of=ledger.head().generation)
    ledger.append([service(3), service(4)])
    ledger.close()


@pytest.mark.parametrize(
    ("statement", "seq", "fact"),
    [
        ("UPDATE records SET body = replace(CAST(body AS TEXT), ':5,', ':9,') WHERE position = 2", 2, "hash"),
        ("UPDATE records SET mono_ms = 99 WHERE position = 3", 3, "hash"),
        ("UPDATE records SET wall_ms = 0 WHERE position = 3", 3, "hash"),
        ("DELETE FROM records WHERE position = 3", 4, "seq 3 is missing"),
        ("DELETE FROM records WHERE position = 6", 2, "without saying so"),
        ("DELETE FROM records WHERE position = 5", 1, "does not name the record before it"),
        ("UPDATE records SET item_id = 'i9' WHERE position = 2", 2, "filed under item i9"),
        ("UPDATE evidence SET data = x'00' WHERE position = 2", 2, "evidence is not"),
        ("UPDATE records SET body = x'ff' WHERE position = 4", 4, "no JSON object"),
        ("UPDATE records SET body = x'ff' WHERE position = 6", 1, "without saying so"),
    ],
)
def test_an_accident_is_found_and_named(tmp_path: Path, statement: str, seq: int, fact: str) -> None:
    a_ledger(tmp_path)
    tampered(
        tmp_path,
        statement.replace("replace(CAST(body AS TEXT)", "CAST(replace(CAST(body AS TEXT)").replace(
            "':9,')", "':9,') AS BLOB)"
        ),
    )
    ledger = open_ledger(tmp_path)
    found = ledger.verify()
    assert any(problem.seq == seq and fact in problem.fact for problem in found), found
    ledger.close()


def test_pruned_evidence_is_no_problem(tmp_path: Path) -> None:
    a_ledger(tmp_path)
    tampered(tmp_path, "DELETE FROM evidence")
    ledger = open_ledger(tmp_path)
    assert ledger.verify() == []
    assert ledger.evidence("i1") is None
    ledger.close()


def test_a_last_record_that_does_not_match_its_hash_is_met_at_opening(tmp_path: Path) -> None:
    a_ledger(tmp_path)
    tampered(tmp_path, "UPDATE records SET mono_ms = 99 WHERE position = 8")
    with pytest.raises(LedgerDamaged, match=r"the last one, does not match its hash; .* 'kiosk ledger renew'"):
        open_ledger(tmp_path)


def test_a_record_that_does_not_read_as_its_kind_is_damage(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    ledger = open_ledger(tmp_path)
    generation = ledger.head().generation
    hash_ = chain_hash(
        bytes.fromhex(ledger.head().hash), generation=generation, seq=2, kind="boot", stamp=stamp(), body=b"{}"
    )
    ledger._db.conn.execute(
        "INSERT INTO records VALUES (2, ?, 2, 'boot', 'boot-1', 0, NULL, 'unsure', x'7b7d', ?, NULL)",
        (generation, hash_),
    )
    with pytest.raises(LedgerDamaged, match="does not read as what was written"):
        ledger.opened()
    ledger.close()


def test_a_damaged_index_and_an_unreadable_page_are_problems_of_the_whole_file(tmp_path: Path) -> None:
    a_ledger(tmp_path)
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    ledger = open_ledger(tmp_path)
    ledger._db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((roots["evidence"] - 1) * page)
        file.write(b"\xee" * page)
    ledger._db.conn.execute("PRAGMA shrink_memory")
    found = ledger.verify()
    assert found
    assert all(problem.generation is None for problem in found)
    assert any("cannot be read any further" in problem.fact for problem in found)
    assert isinstance(found[0], Problem)
    ledger.close()


def test_an_index_that_disagrees_with_its_table_is_found(tmp_path: Path) -> None:
    a_ledger(tmp_path)
    data = (tmp_path / "ledger.db").read_bytes()
    assert data.count(b"depositi2") == 1
    (tmp_path / "ledger.db").write_bytes(data.replace(b"depositi2", b"depositi7"))
    ledger = open_ledger(tmp_path)
    assert any("missing from index records_by_item" in problem.fact for problem in ledger.verify())
    ledger.close()


def test_the_first_hash_of_a_generation_follows_zeroes(tmp_path: Path) -> None:
    a_ledger(tmp_path)
    ledger = open_ledger(tmp_path)
    for record in ledger.records(kind="generation_started"):
        assert record.hash == chain_hash(
            ZERO_HASH, generation=record.generation, seq=1, kind=record.kind, stamp=record.stamp, body=record.body
        )
    ledger.close()


@pytest.mark.parametrize("records_max", [1, 2, 3, 7, 8, 100])
def test_a_ledger_checked_in_slices_has_the_problems_that_it_has_as_a_whole(tmp_path: Path, records_max: int) -> None:
    a_ledger(tmp_path)
    tampered(
        tmp_path,
        "UPDATE records SET mono_ms = 99 WHERE position = 3",
        "DELETE FROM records WHERE position = 5",
        "UPDATE evidence SET data = x'00' WHERE position = 2",
    )
    ledger = open_ledger(tmp_path)
    found: list[Problem] = []
    after: int | None = 0
    slices = 0
    while after is not None:
        checked = ledger.check(after=after, records_max=records_max)
        assert checked.after is None or checked.after > after
        found += checked.problems
        after = checked.after
        slices += 1
    assert found == ledger.verify()
    assert len(found) == 3
    assert slices >= 7 // records_max
    ledger.close()
