"""Entries and ledgers for the ledger's tests."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

from sync.exchange import Apply
from sync.ledger.ledger import Ledger
from sync.ledger.values import Entry
from sync.records import Boot, Deposit, Holder, Record, Refusal, ServiceEntered, Stamp, TipConfirmed, TipFailed

GARBAGE = b"this is no database, whatever its name says " * 100


def stamp(mono_ms: int = 0) -> Stamp:
    return Stamp(boot_id="boot-1", mono_ms=mono_ms, wall_ms=None, clock="unsure")


def open_ledger(folder: Path, **changes: Any) -> Ledger:
    settings: dict[str, Any] = {"bin_id": "bin-1", "host_id": "host-1", "stamp": stamp(), "free_bytes_min": 0}
    return Ledger.open(folder / "ledger.db", **(settings | changes))


def deposit(item_id: str, *, mono_ms: int = 0, cap_ms: int = 0, points: int = 5, ref: str = "k1:aa") -> Entry:
    evidence = f"evidence of {item_id}".encode()
    body = Deposit(
        item_id=item_id,
        holder=Holder(scheme="em4100", ref=ref),
        battery_class="AA",
        count=1,
        item_code="bat-aa",
        points=points,
        unpaid=points == 0,
        tariff_version=1,
        mass_mg=23_800,
        cap_ms=cap_ms,
        evidence_sha256=hashlib.sha256(evidence).hexdigest(),
    )
    return Entry(body=body, stamp=stamp(mono_ms), evidence=evidence)


def refusal(item_id: str) -> Entry:
    evidence = f"evidence of {item_id}".encode()
    body = Refusal(
        item_id=item_id,
        holder=Holder(scheme="em4100", ref="k1:aa"),
        reason="retracted",
        mass_mg=None,
        evidence_sha256=hashlib.sha256(evidence).hexdigest(),
    )
    return Entry(body=body, stamp=stamp(), evidence=evidence)


def confirmed(item_id: str) -> Entry:
    return Entry(body=TipConfirmed(item_id=item_id, recovered=False), stamp=stamp())


def failed(item_id: str) -> Entry:
    return Entry(body=TipFailed(item_id=item_id, reason="jam"), stamp=stamp())


def boot(cap_ms: int, mono_ms: int = 0) -> Entry:
    return Entry(body=Boot(version="1", cap_ms=cap_ms), stamp=stamp(mono_ms))


def service(mono_ms: int) -> Entry:
    return Entry(body=ServiceEntered(), stamp=stamp(mono_ms))


def acknowledging(record: Record, **changes: Any) -> Apply:
    return Apply(generation=record.generation, seq=record.seq, hash=record.hash, **changes)


class Flaky(sqlite3.Connection):
    """A connection that fails at one chosen statement, before or after it had its effect."""

    fail_at: str | None = None
    took_effect = False
    commits = 0

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        cls = type(self)
        if sql == "COMMIT":
            cls.commits += 1
        if cls.fail_at is None or not sql.startswith(cls.fail_at):
            return super().execute(sql, *parameters)
        cls.fail_at = None
        if cls.took_effect:
            super().execute(sql, *parameters)
        raise sqlite3.OperationalError("disk I/O error")


def flaky() -> type[Flaky]:
    """A class of its own for each test, because the switches live on the class: each reopening makes a new object."""
    return type("FlakyHere", (Flaky,), {})
