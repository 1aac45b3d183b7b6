"""What the ledger is given and what it answers: plain data, free of SQLite."""

from __future__ import annotations

from dataclasses import dataclass

from sync.records import Body, CappedCredit, Counts, Head, Record, Stamp, Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record that is to be appended. ``evidence``: the bytes whose SHA-256 the body names, null for none."""

    body: Body
    stamp: Stamp
    evidence: bytes | None = None

    @property
    def item_id(self) -> str | None:
        """Of a deposit, refusal or tip: the item it is about. One record per kind and item may exist."""
        item_id: str | None = getattr(self.body, "item_id", None)
        return item_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the ledger remembers when it is opened.

    ``open_deposits``: item ids, oldest first, whose tip has neither been confirmed nor failed. ``hazards`` and
    ``faults``: names raised and not cleared since. ``credits``: paid deposits within a day of the newest cap time.
    ``cap_ms``: the newest cap time, 0 before the first boot.
    """

    head: Head
    counts: Counts
    open_deposits: tuple[str, ...]
    hazards: tuple[str, ...]
    faults: tuple[str, ...]
    credits: tuple[CappedCredit, ...]
    cap_ms: int
    tariff: Tariff | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRecord:
    """A record that the server holds, with the reason that it gave."""

    record: Record
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not as it was written. ``generation`` and ``seq`` are null when it is about the whole file."""

    generation: str | None
    seq: int | None
    fact: str


# --- what the keeper reports ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The ledger was opened for the first time in this process."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was asked under ``ticket`` is durable."""

    ticket: str
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Recording does not work, or soon would not; the keeper tries again by itself, for ever.

    ``damaged``: no retry will heal it, a technician has to set the ledger aside.
    """

    reason: str
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Recording works again; whatever was asked meanwhile is durable and was reported as :class:`Done`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """A programming error ended the ledger's thread; the daemon has to stop and be started anew."""

    reason: str


LedgerEvent = Opened | Done | Failed | Returned | Crashed
