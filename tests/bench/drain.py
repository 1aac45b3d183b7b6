"""How fast a bin that was offline for long brings its records to the points server: real HTTP on loopback."""

from __future__ import annotations

import queue
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import requests

from kiosk.ledger_port import LedgerPort
from sync.identity import load
from sync.ledger.thread import LedgerThread
from sync.records import Counts, Tariff
from sync.upload_steps import Outcome, TariffIssued
from sync.uploader import Uploader
from sync.uploader_thread import UploaderThread
from sync.wire import Status
from tests.bench.making import deposit, open_ledger, stamp
from tests.kiosk.rig import WAIT_S, Rig

RECORDS = 10_000
COMMIT_RECORDS = 500
DRAIN_S_MAX = 150.0


def figures(folder: Path) -> dict[str, Any]:
    """The bin's side runs in this process, the server in one of its own; paid deposits, one posting each."""
    rig = Rig(folder)
    rig.screen.close()
    try:
        rig.enrol()
        ledger = LedgerThread(partial(open_ledger, folder / "state"), lambda event: None)
        ledger.start()
        tariff = issued_tariff(rig, ledger)
        item = tariff.items["AA"]
        entries = [
            deposit(number, item_code=item.item_code, points=item.points, tariff_version=tariff.version)
            for number in range(RECORDS)
        ]
        for first in range(0, RECORDS, COMMIT_RECORDS):
            batch = entries[first : first + COMMIT_RECORDS]
            ledger.ask(lambda ledger, batch=batch: ledger.append(batch)).result()  # type: ignore[misc]
        spent_s, counts = drained(rig, ledger, tariff)
        assert counts.acknowledged == RECORDS, counts
        books = rig.journal()
        assert books is not None
        assert books["totals"]["credited"] == RECORDS, books["totals"]
        ledger.close(WAIT_S)
    finally:
        rig.close()
    return {"drain_records_per_s": round(RECORDS / spent_s), "drain_records_count": RECORDS}


def issued_tariff(rig: Rig, ledger: LedgerThread) -> Tariff:
    """The first call of a new bin: the server pays only what it issued."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    uploader = uploading(rig, ledger, None, lambda counts: None, outcomes.put)
    while not isinstance(outcome := outcomes.get(timeout=WAIT_S), TariffIssued):
        pass
    assert uploader.close(WAIT_S)
    return outcome.tariff


def drained(rig: Rig, ledger: LedgerThread, tariff: Tariff) -> tuple[float, Counts]:
    """Seconds from the first call until the ledger knows that nothing is pending, and its counts then."""
    progress: queue.SimpleQueue[Counts] = queue.SimpleQueue()
    began_s = time.monotonic()
    uploader = uploading(rig, ledger, tariff.version, progress.put, lambda outcome: None)
    while (counts := progress.get(timeout=DRAIN_S_MAX)).pending:
        pass
    spent_s = time.monotonic() - began_s
    assert uploader.close(WAIT_S)
    return spent_s, counts


def uploading(
    rig: Rig, ledger: LedgerThread, tariff_version: int | None, on_counts: Any, on_outcome: Any
) -> UploaderThread:
    status = Status(software="bench", accepted=0, acknowledged=0, pending=0, held=0, tariff_version=tariff_version)
    bin_identity = load(rig.folder / "state" / "identity.json")
    thread = UploaderThread(
        Uploader(identity=bin_identity, rng=random.SystemRandom()),
        server_url=bin_identity.server_url,
        ledger=LedgerPort(ledger, lambda: stamp(0), on_counts),
        situation=lambda: (status, stamp(0)),
        on_outcome=on_outcome,
        session=requests.Session(),
    )
    thread.start()
    return thread
