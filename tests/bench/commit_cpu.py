"""What a durable commit costs in CPU, beside the same bytes through bare sqlite3 with the same durability."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sync.ledger.chain import following, next_record, read_end
from sync.ledger.file import PAGE_BYTES, WAL_PAGES, lay_out_log
from sync.ledger.ledger import Ledger
from sync.ledger.values import Entry
from tests.bench.making import deposit, open_ledger

ROUNDS = 31
COMMITS = 40
"""In a row on one side, before it is the other's turn."""

Row = tuple[Any, ...]


def figures(folder: Path) -> dict[str, Any]:
    """Median over the rounds of process CPU time a commit, kernel included, and of the rounds' ratios."""
    for name in ("ours", "bare"):
        (folder / name).mkdir()
    entries = [deposit(number) for number in range(ROUNDS * COMMITS)]
    ledger = open_ledger(folder / "ours")
    connection = bare(folder / "bare")
    rows = rows_of(connection, folder / "bare", entries)
    ours_us: list[float] = []
    bare_us: list[float] = []
    for first in range(0, len(entries), COMMITS):
        sides = [
            (partial(through_ledger, ledger, entries[first : first + COMMITS]), ours_us),
            (partial(through_sqlite, connection, rows[first : first + COMMITS]), bare_us),
        ]
        # The first of a round pays for what the other left in the caches, so they take turns at that too.
        for run, spent_us in sides if first // COMMITS % 2 else sides[::-1]:
            spent_us.append(cpu_us(run) / COMMITS)
    ledger.close()
    connection.close()
    return {
        "commit_cpu_us": round(statistics.median(ours_us), 1),
        "commit_cpu_bare_sqlite_us": round(statistics.median(bare_us), 1),
        "commit_cpu_ratio": round(
            statistics.median(ours / bare for ours, bare in zip(ours_us, bare_us, strict=True)), 2
        ),
        "commit_cpu_repetitions": ROUNDS,
    }


def cpu_us(run: Callable[[], None]) -> float:
    began_ns = time.process_time_ns()
    run()
    return (time.process_time_ns() - began_ns) / 1_000


def bare(folder: Path) -> sqlite3.Connection:
    """The ledger's own tables in a file of their own, with a log laid out as the ledger's is, and nothing else."""
    ledger = open_ledger(folder)
    ledger.close()
    path = folder / "ledger.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in (
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {WAL_PAGES - 32}",
        f"journal_size_limit = {WAL_PAGES * PAGE_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    lay_out_log(path)
    return connection


def rows_of(connection: sqlite3.Connection, folder: Path, entries: list[Entry]) -> list[tuple[Row, Row]]:
    """Ready-made: encoding, hashing and the chain are what the ledger does beyond SQLite."""

    def chained() -> Iterator[tuple[Row, Row]]:
        end = read_end(connection, folder / "ledger.sqlite")
        for entry in entries:
            record = next_record(end, entry)
            end = following(end, record)
            stamp = record.stamp
            yield (
                (
                    end.position,
                    record.generation,
                    record.seq,
                    record.kind,
                    stamp.boot_id,
                    stamp.mono_ms,
                    stamp.wall_ms,
                    stamp.clock,
                    record.body,
                    record.hash,
                    entry.item_id,
                ),
                (end.position, entry.evidence),
            )

    return list(chained())


def through_ledger(ledger: Ledger, entries: list[Entry]) -> None:
    for entry in entries:
        ledger.append([entry])


def through_sqlite(connection: sqlite3.Connection, rows: list[tuple[Row, Row]]) -> None:
    for record, evidence in rows:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", record)
        connection.execute("INSERT INTO evidence VALUES (?, ?)", evidence)
        connection.execute("COMMIT")
