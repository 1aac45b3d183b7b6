"""Migrations only add, and either side of an upgrade can open the ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from sync.ledger.schema import migrations
from tests.sync.ledger.making import deposit, open_ledger

NAMES = ["records", "verdicts", "tariffs"]


def schema(database: Database) -> dict[str, str]:
    rows = database.conn.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: "".join(sql.split()) for name, sql in rows}


def test_each_migration_leaves_what_is_there_as_it_is() -> None:
    database = Database(memory=True)
    before: dict[str, str] = {}
    for later in [*NAMES[1:], None]:
        migrations.apply(database, stop_before=later)
        after = schema(database)
        for name, sql in before.items():
            # A column added to a table stands at the end of its definition.
            assert after[name].startswith(sql.removesuffix(")STRICT")), name
        before = after
    assert not migrations.pending(database)
    database.close()


@pytest.mark.parametrize("stop_before", NAMES)
def test_a_ledger_of_an_older_release_opens_with_its_records(tmp_path: Path, stop_before: str) -> None:
    connection = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    migrations.apply(Database(connection), stop_before=stop_before)
    connection.close()
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    assert ledger.opened().counts.accepted == 1
    ledger.close()


def test_a_ledger_of_a_newer_release_opens_and_keeps_what_it_has(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger._db.conn.execute("ALTER TABLE records ADD COLUMN later TEXT DEFAULT 'kept'")
    ledger._db.conn.execute("CREATE TABLE later (x INTEGER) STRICT")
    ledger._db.conn.execute("INSERT INTO _sqlite_migrations SELECT 99, 'ledger', 'later', 'now'")
    ledger.close()
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    assert ledger.verify() == []
    assert ledger._db.conn.execute("SELECT DISTINCT later FROM records").fetchall() == [("kept",)]
    ledger.close()


def test_a_migration_that_fails_halfway_leaves_the_older_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(database: Database) -> None:
        database.execute("CREATE TABLE half (x INTEGER) STRICT")
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(migrations._migrations[-1], "fn", broken)
        with pytest.raises(OSError, match="disk I/O error"):
            open_ledger(tmp_path)
    ledger = open_ledger(tmp_path)
    assert "half" not in schema(ledger._db)
    ledger.close()


def test_every_table_of_ours_is_strict(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    tables = {
        name: strict
        for _, name, kind, _, _, strict in ledger._db.conn.execute("PRAGMA table_list")
        if kind == "table" and not name.startswith(("sqlite_", "_sqlite_"))
    }
    assert tables == dict.fromkeys(["records", "evidence", "state", "verdicts", "tariffs"], 1)
    ledger.close()


def test_the_connection_is_set_as_the_traps_demand(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    connection = ledger._db.conn

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert connection.isolation_level is None
    assert pragma("journal_mode") == "wal"
    assert pragma("locking_mode") == "exclusive"
    assert pragma("synchronous") == 2
    assert pragma("recursive_triggers") == 1
    assert not (tmp_path / "ledger.db-shm").exists()
    ledger.close()
