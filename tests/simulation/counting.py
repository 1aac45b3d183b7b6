"""The ledger's words in the core's, as ``kiosk/daemon.py`` puts them."""

from __future__ import annotations

from kiosk.core import events
from sync.ledger import values as ledger_values


def opened(snapshot: ledger_values.Snapshot) -> events.LedgerOpened:
    return events.LedgerOpened(
        counts=snapshot.counts,
        open_deposits=snapshot.open_deposits,
        hazards=snapshot.hazards,
        faults=snapshot.faults,
        credits=snapshot.credits,
        cap_ms=snapshot.cap_ms,
        tariff=snapshot.tariff,
    )
