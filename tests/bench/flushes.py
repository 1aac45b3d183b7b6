"""How often a deposit waits for the medium, and how many bytes it writes: counted in a trace of system calls."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.making import confirmation, deposit, open_ledger
from tests.kiosk.test_trace import why_no_trace

DEPOSITS = 256
IDLE_EVERY = 64
"""After so many deposits nobody comes for a while: the log is emptied into the database."""
MARK = re.compile(r'"MARK (\w+)')
FLUSH = re.compile(r"\bf(?:data)?sync\(")
WRITTEN = re.compile(r"\bpwrite64\(.*= (\d+)$|<\.\.\. pwrite64 resumed>.*= (\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What was done between two marks."""

    what: str
    flushes: int
    written_bytes: int


def figures(folder: Path) -> dict[str, Any]:
    keys = (
        "fdatasyncs_before_credited_count",
        "fdatasyncs_before_credited_max_count",
        "fdatasyncs_for_confirmation_with_next_commit_count",
        "fdatasyncs_for_confirmation_flushed_idle_count",
        "written_per_deposit_bytes",
        "written_per_deposit_with_checkpoint_bytes",
    )
    entry = deposit(1)
    assert entry.evidence is not None
    sizes = {"evidence_bytes": len(entry.evidence)}
    if reason := why_no_trace():
        return {**dict.fromkeys(keys), "fdatasyncs_null_because": reason, **sizes}
    trace = folder / "trace"
    subprocess.run(
        [
            "strace",
            "-f",
            "-o",
            str(trace),
            "-e",
            "trace=fdatasync,fsync,pwrite64,write",
            sys.executable,
            "-m",
            __name__,
            str(folder),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    stretches = stretches_of(trace.read_text(errors="replace"))
    # The first carries no confirmation of the one before it.
    alone, *riding = [stretch for stretch in stretches if stretch.what == "deposit"]
    flushed_idle = [stretch for stretch in stretches if stretch.what == "confirmation"]
    all_bytes = sum(stretch.written_bytes for stretch in stretches)
    return {
        keys[0]: statistics.median_low([stretch.flushes for stretch in riding]),
        keys[1]: max(stretch.flushes for stretch in riding),
        keys[2]: statistics.median_low([stretch.flushes for stretch in riding]) - alone.flushes,
        keys[3]: statistics.median_low([stretch.flushes for stretch in flushed_idle]),
        keys[4]: statistics.median_low([stretch.written_bytes for stretch in riding]),
        keys[5]: round(all_bytes / DEPOSITS),
        "written_counted_by": "sizes of pwrite64, deposit and the confirmation before it",
        **sizes,
    }


def stretches_of(trace: str) -> list[Stretch]:
    found: list[Stretch] = []
    what, flushes, written_bytes = "", 0, 0
    for line in trace.splitlines():
        if mark := MARK.search(line):
            found.append(Stretch(what=what, flushes=flushes, written_bytes=written_bytes))
            what, flushes, written_bytes = mark[1], 0, 0
        elif FLUSH.search(line):
            flushes += 1
        elif size := WRITTEN.search(line):
            written_bytes += int(size[1] or size[2])
    return [stretch for stretch in found if stretch.what]


def drive(folder: Path) -> None:
    """The traced process: deposits through the keeper, in its own virtual time."""
    from sync.ledger.keeper import IDLE_MS, LATER_MS, LedgerKeeper

    keeper = LedgerKeeper(lambda: open_ledger(folder))
    now_ms = 0
    keeper.step(now_ms)
    for number in range(DEPOSITS):
        mark("deposit")
        keeper.append(str(number), [deposit(number)], now_ms)
        keeper.append_later(confirmation(number), now_ms)
        if number % IDLE_EVERY == IDLE_EVERY - 1:
            mark("confirmation")
            now_ms += LATER_MS
            keeper.step(now_ms)
            mark("idle")
            now_ms += IDLE_MS
            keeper.step(now_ms)
    mark("end")
    keeper.close(now_ms)


def mark(what: str) -> None:
    os.write(2, f"MARK {what}\n".encode())


if __name__ == "__main__":
    drive(Path(sys.argv[1]))
