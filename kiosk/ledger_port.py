"""The uploader's window on the ledger's thread: it waits for answers there, so that the loop never has to."""

from __future__ import annotations

from collections.abc import Callable

from sync.exchange import Apply, Batch
from sync.ledger.thread import LedgerThread
from sync.records import Counts, Stamp, Tariff


class LedgerPort:
    """Every call waits for the ledger's thread; each may raise :class:`sync.ledger.errors.LedgerError`.

    ``on_counts`` hears where the deposits stand after each answer that was applied.
    """

    def __init__(self, ledger: LedgerThread, stamp: Callable[[], Stamp], on_counts: Callable[[Counts], None]) -> None:
        self._ledger = ledger
        self._stamp = stamp
        self._on_counts = on_counts

    def batch(self, records_max: int, bytes_max: int) -> Batch:
        return self._ledger.ask(lambda ledger: ledger.batch(records_max, bytes_max)).result()

    def hash_at(self, generation: str, seq: int) -> bytes | None:
        return self._ledger.ask(lambda ledger: ledger.hash_at(generation, seq)).result()

    def apply(self, answer: Apply) -> None:
        counts = self._ledger.ask(lambda ledger: ledger.apply(answer)).result()
        assert counts is not None, "the uploader has compared the acknowledged hash with ours"
        self._on_counts(counts)

    def begin_generation(self, instead_of: str) -> None:
        stamp = self._stamp()
        self._ledger.ask(lambda ledger: ledger.begin_generation("fork", stamp, instead_of=instead_of)).result()

    def store_tariff(self, tariff: Tariff) -> bool:
        return self._ledger.ask(lambda ledger: ledger.store_tariff(tariff)).result()
