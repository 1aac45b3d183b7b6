"""Deposits as a bin makes them: the sizes of real records decide what a commit writes."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from sync.ledger.ledger import Ledger
from sync.ledger.values import Entry
from sync.records import (
    Deposit,
    Evidence,
    Holder,
    MassSample,
    Passage,
    Stamp,
    TipConfirmed,
    encode_evidence,
)

BOOT_ID = str(uuid.UUID(int=1))


def open_ledger(folder: Path, bin_id: str = "bin-1") -> Ledger:
    return Ledger.open(folder / "ledger.sqlite", bin_id=bin_id, host_id="bench", stamp=stamp(0), free_bytes_min=0)


def stamp(mono_ms: int) -> Stamp:
    return Stamp(boot_id=BOOT_ID, mono_ms=mono_ms, wall_ms=1_800_000_000_000 + mono_ms, clock="trusted")


def deposit(number: int, *, item_code: str = "B01-02", points: int = 10, tariff_version: int = 1) -> Entry:
    """An AA that fell through both beams past the metal sensor and was weighed for most of a second."""
    mono_ms = 3_600_000 + 10_000 * number
    evidence = encode_evidence(
        Evidence(
            rules=1,
            passages=(
                Passage(
                    started_ms=mono_ms - 2_000,
                    edges=(
                        ("a", True, 0),
                        ("metal", True, 9_120),
                        ("b", True, 21_480),
                        ("a", False, 24_910),
                        ("metal", False, 31_006),
                        ("b", False, 45_733),
                    ),
                ),
            ),
            tare_mg=1_250,
            masses=tuple(MassSample(at_ms=900 + 100 * n, mass_mg=25_050 + n, stable=n > 5) for n in range(8)),
            mass_mg=23_807,
        )
    )
    body = Deposit(
        item_id=uuid.UUID(int=number).hex,
        holder=Holder(scheme="em4100", ref="k1:" + hashlib.sha256(b"%d" % (number % 100)).hexdigest()),
        battery_class="AA",
        count=1,
        item_code=item_code,
        points=points,
        unpaid=False,
        tariff_version=tariff_version,
        mass_mg=23_807,
        cap_ms=mono_ms,
        evidence_sha256=hashlib.sha256(evidence).hexdigest(),
    )
    return Entry(body=body, stamp=stamp(mono_ms), evidence=evidence)


def confirmation(number: int) -> Entry:
    body = TipConfirmed(item_id=uuid.UUID(int=number).hex, recovered=False)
    return Entry(body=body, stamp=stamp(3_600_000 + 10_000 * number + 3_000))
