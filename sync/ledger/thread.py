"""The thread that owns the ledger: everybody else puts requests into its queue and never waits for the medium."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from sync.ledger.keeper import LedgerKeeper
from sync.ledger.ledger import Ledger
from sync.ledger.values import Crashed, Entry, LedgerEvent

T = TypeVar("T")


class LedgerThread:
    """Runs a :class:`LedgerKeeper`. Requests are done in the order in which they came, from any thread.

    ``on_event`` is called from this thread and must neither block nor raise. ``open_ledger`` runs in it as well, since
    an SQLite connection belongs to the thread that opened it. A programming error is reported as :class:`Crashed` and
    ends the thread.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], on_event: Callable[[LedgerEvent], None]) -> None:
        self._keeper = LedgerKeeper(open_ledger)
        self._on_event = on_event
        self._requests: queue.SimpleQueue[Callable[[int], list[LedgerEvent]] | None] = queue.SimpleQueue()
        self._busy_since_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Open the ledger and begin to serve; :class:`~sync.ledger.values.Opened` or ``Failed`` comes first."""
        self._thread.start()

    def append(self, ticket: str, entries: Sequence[Entry]) -> None:
        """Make the entries durable in one transaction; :class:`~sync.ledger.values.Done` carries the ticket."""
        self._requests.put(lambda now_ms: self._keeper.append(ticket, entries, now_ms))

    def append_later(self, entry: Entry) -> None:
        """Make an entry durable with the next commit, or within a second; nobody is told."""
        self._requests.put(lambda now_ms: self._keeper.append_later(entry, now_ms))

    def ask(self, request: Callable[[Ledger], T]) -> Future[T]:
        """Have the ledger answer something; the future raises :class:`~sync.ledger.errors.LedgerError` while it cannot.

        It raises whatever else ``request`` raised, a ValueError for a wrong question among them: that is the asker's
        trouble and not the ledger's. Only a failed assertion ends the thread as well.
        """
        future: Future[T] = Future()

        def asked(now_ms: int) -> list[LedgerEvent]:
            try:
                answer, events = self._keeper.ask(request, now_ms)
            except BaseException as error:
                future.set_exception(error)
                raise
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
            return events

        self._requests.put(asked)
        return future

    def check_storage(self) -> None:
        """Have free space and writability looked at; only a change is reported."""
        self._requests.put(self._keeper.check_storage)

    def busy_ms(self) -> int:
        """For how long the present request has been in the works, 0 when idle: a stuck medium shows here."""
        since_ns = self._busy_since_ns
        return 0 if since_ns is None else (time.monotonic_ns() - since_ns) // 1_000_000

    def close(self, timeout_s: float) -> bool:
        """Flush, close the ledger and end; false when the medium did not let it within the time.

        What is asked afterwards is never answered: whoever asks is to be ended first.
        """
        self._requests.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._serve(self._keeper.step)
            while (request := self._next()) is not None:
                self._serve(request)
            self._serve(self._keeper.close)
        except BaseException as error:
            self._on_event(Crashed(reason=f"the ledger's thread ended: {error!r}"))
            raise

    def _next(self) -> Callable[[int], list[LedgerEvent]] | None:
        due_ms = self._keeper.next_ms()
        try:
            return self._requests.get(timeout=None if due_ms is None else max(0, due_ms - _now_ms()) / 1000)
        except queue.Empty:
            return self._keeper.step

    def _serve(self, request: Callable[[int], list[LedgerEvent]]) -> None:
        self._busy_since_ns = time.monotonic_ns()
        for event in request(_now_ms()):
            self._on_event(event)
        self._busy_since_ns = None


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
