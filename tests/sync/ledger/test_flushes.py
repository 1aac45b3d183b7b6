"""How often an append flushes: once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from sync.ledger.file import PAGE_BYTES, WAL_PAGES
from sync.ledger.ledger import TIDY_COMMITS
from tests.sync.ledger.making import confirmed, deposit, open_ledger, service

TRACED = """
import os, sys
from pathlib import Path
from sync.ledger.keeper import IDLE_MS, LedgerKeeper
from tests.sync.ledger.making import confirmed, deposit, open_ledger
keeper = LedgerKeeper(lambda: open_ledger(Path(sys.argv[1])))
def say(what): os.write(2, f"MARK {what}\\n".encode())
keeper.step(0)
for n in range(70):
    say("append")
    keeper.append(f"t{n}", [deposit(f"i{n}")], n)
    keeper.append_later(confirmed(f"i{n}"), n)
say("idle")
keeper.step(100_000)  # flushes the last confirmation
keeper.step(100_000 + IDLE_MS)  # tidies up
say("append")
keeper.append("last", [deposit("last")], 200_000)
say("end")
os._exit(0)
"""


def traces_work() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not traces_work(), reason="needs strace")
def test_one_flush_before_credited_the_confirmation_included_also_after_housekeeping(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    subprocess.run(
        [
            "strace",
            "-f",
            "-o",
            str(trace),
            "-e",
            "trace=fsync,fdatasync,write",
            sys.executable,
            "-c",
            TRACED,
            str(tmp_path),
        ],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        check=True,
        timeout=120,
    )
    flushes: list[tuple[str, int]] = []
    for line in trace.read_text(errors="replace").splitlines():
        if mark := re.search(r"MARK (\w+)", line):
            flushes.append((mark[1], 0))
        elif flushes and re.search(r"\bf(data)?sync\(", line):
            flushes[-1] = (flushes[-1][0], flushes[-1][1] + 1)
    assert [count for what, count in flushes if what == "append"] == [1] * 71


def test_a_tip_confirmation_costs_no_commit_of_its_own(tmp_path: Path) -> None:
    statements: list[str] = []
    ledger = open_ledger(tmp_path)
    ledger._db.conn.set_trace_callback(statements.append)
    ledger.append([deposit("i1")])
    ledger.append([confirmed("i1"), deposit("i2")])
    assert statements.count("COMMIT") == 2
    assert statements.count("BEGIN IMMEDIATE") == 2
    ledger.close()


def test_the_log_has_its_full_size_from_the_start_and_never_grows(tmp_path: Path) -> None:
    log = tmp_path / "ledger.db-wal"
    ledger = open_ledger(tmp_path)
    sizes = {log.stat().st_size}
    for n in range(10 * TIDY_COMMITS):
        ledger.append([deposit(f"i{n}")])
        sizes.add(log.stat().st_size)
        if n % 100 == 99:
            ledger.tidy()
    assert sizes == {WAL_PAGES * PAGE_BYTES}
    ledger.close()


def test_tidying_waits_until_enough_has_gathered(tmp_path: Path) -> None:
    statements: list[str] = []
    ledger = open_ledger(tmp_path)
    ledger._db.conn.set_trace_callback(statements.append)
    checkpoints = partial(lambda: sum("wal_checkpoint" in statement for statement in statements))
    for n in range(TIDY_COMMITS):
        ledger.append([service(n)])
        assert checkpoints() == 0
        if n < TIDY_COMMITS - 1:
            ledger.tidy()
    ledger.tidy()
    assert checkpoints() == 1
    ledger.tidy()
    assert checkpoints() == 1
    ledger.close()
