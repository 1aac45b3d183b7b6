"""Keeps a ledger open through every trouble of its medium, in steps: no thread, no clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sync.ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from sync.ledger.file import drop_frames
from sync.ledger.ledger import Ledger
from sync.ledger.values import Done, Entry, Failed, LedgerEvent, Opened, Returned

RETRY_MS = 1_000
"""How often a failed ledger is opened anew, without limit: the cause may be gone at any time."""

LATER_MS = 1_000
"""How long a record that nobody waits for may wait for a commit to ride on."""

IDLE_MS = 5_000
"""Without an append for this long, the log is emptied: a resident is not in the middle of a deposit."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Entries that belong into one transaction, and who waits for them."""

    ticket: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A transaction whose outcome is unknown, and the ledger's position before it."""

    wishes: tuple[_Wish, ...]
    position: int


class LedgerKeeper:
    """One ledger, kept: what is asked to be appended is durable exactly once, however often the medium fails.

    After any error the outcome of the write is unknown. So the ledger is closed, opened anew (which checkpoints), and
    only what it turns out to lack is appended again; this is tried every :data:`RETRY_MS` for ever. Every method takes
    the time in milliseconds of a clock that never runs back and returns what is to be reported. ``open_ledger`` raises
    :class:`LedgerError`.
    """

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._waiting: deque[_Wish] = deque()
        self._later: list[Entry] = []
        self._later_since_ms: int | None = None
        self._doubt: _Doubt | None = None
        self._trouble: str | None = None
        self._retry_ms = 0
        self._known = False
        self._untidy_since_ms: int | None = None

    def next_ms(self) -> int | None:
        """When :meth:`step` has something to do, null for never."""
        # While the ledger is closed only opening it helps.
        if self._ledger is None:
            return self._retry_ms
        due = [
            None if self._trouble is None else self._retry_ms,
            None if self._later_since_ms is None else self._later_since_ms + LATER_MS,
            None if self._untidy_since_ms is None else self._untidy_since_ms + IDLE_MS,
        ]
        return min((at_ms for at_ms in due if at_ms is not None), default=None)

    def step(self, now_ms: int) -> list[LedgerEvent]:
        """Do what is due: open, try again, flush what waits for company, tidy up."""
        events: list[LedgerEvent] = []
        if self._ledger is None:
            if now_ms >= self._retry_ms:
                events += self._open(now_ms)
            return events
        if self._trouble is not None and now_ms >= self._retry_ms:
            events += self.check_storage(now_ms)
        if self._later_since_ms is not None and now_ms >= self._later_since_ms + LATER_MS:
            self._queue_later()
            events += self._write(now_ms)
        if self._ledger and self._untidy_since_ms is not None and now_ms >= self._untidy_since_ms + IDLE_MS:
            self._untidy_since_ms = None
            events += self._guarded(now_ms, lambda ledger: ledger.tidy())
        return events

    def append(self, ticket: str, entries: Sequence[Entry], now_ms: int) -> list[LedgerEvent]:
        """Make the entries durable now, together with whatever waited for company; :class:`Done` says when."""
        self._queue_later()
        self._waiting.append(_Wish(ticket=ticket, entries=tuple(entries)))
        return self._write(now_ms)

    def append_later(self, entry: Entry, now_ms: int) -> list[LedgerEvent]:
        """Make an entry durable with the next commit, or when :data:`LATER_MS` have passed without one."""
        self._later.append(entry)
        if self._later_since_ms is None:
            self._later_since_ms = now_ms
        return []

    def ask(self, request: Callable[[Ledger], T], now_ms: int) -> tuple[T | Exception, list[LedgerEvent]]:
        """Anything else that a ledger answers, in its order among the appends.

        The answer is the error itself when the ledger is closed or fails over it, or when the question makes no sense;
        the latter does the ledger no harm, unless it was met in the middle of a transaction: then it is opened anew.
        A failed assertion is raised.
        """
        if self._ledger is None:
            return LedgerUnavailable(self._trouble or "the ledger is not open yet; ask again"), []
        answer: T | Exception
        events: list[LedgerEvent] = []
        try:
            answer = request(self._ledger)
        except AssertionError:
            raise
        except LedgerError as error:
            answer, events = error, self._failed(error, now_ms)
        except Exception as error:
            answer = error
            if self._ledger.in_transaction:
                drop_frames(error)
                reason = f"the ledger gave up a write half-way ({error!r}) and is opened anew; report this with its log"
                events = self._failed(LedgerUnavailable(reason), now_ms)
        if self._untidy_since_ms is None:
            self._untidy_since_ms = now_ms
        return answer, events

    def check_storage(self, now_ms: int) -> list[LedgerEvent]:
        """Say early that the medium is nearly full or read-only; the ledger stays open for what has already fallen."""
        if self._ledger is None:
            return []
        try:
            self._ledger.check_storage()
        except LedgerError as error:
            self._retry_ms = now_ms + RETRY_MS
            return self._in_trouble(error)
        return self._out_of_trouble()

    def close(self, now_ms: int) -> list[LedgerEvent]:
        """Flush what can be flushed and close the file."""
        self._queue_later()
        events = self._write(now_ms)
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        return events

    # --- below ------------------------------------------------------------------------------------------------------

    def _open(self, now_ms: int) -> list[LedgerEvent]:
        events: list[LedgerEvent] = []
        try:
            self._ledger = self._open_ledger()
            if not self._known:
                events.append(Opened(snapshot=self._ledger.opened()))
                self._known = True
            self._settle_doubt(self._ledger)
        except LedgerError as error:
            return events + self._failed(error, now_ms)
        events += self._write(now_ms)
        # check_storage() ends the trouble, if it finds none of its own.
        return events + self.check_storage(now_ms)

    def _settle_doubt(self, ledger: Ledger) -> None:
        """Put back in front of the queue what the unknown outcome turns out not to have written."""
        if self._doubt is None:
            return
        entries = [entry for wish in self._doubt.wishes for entry in wish.entries]
        absent = {id(entry) for entry in ledger.missing(entries, after=self._doubt.position)}
        self._waiting.extendleft(
            _Wish(ticket=wish.ticket, entries=tuple(entry for entry in wish.entries if id(entry) in absent))
            for wish in reversed(self._doubt.wishes)
        )
        self._doubt = None

    def _queue_later(self) -> None:
        if self._later:
            self._waiting.append(_Wish(ticket=None, entries=tuple(self._later)))
            self._later, self._later_since_ms = [], None

    def _write(self, now_ms: int) -> list[LedgerEvent]:
        """Append all that waits, in order, one transaction a ticket; what nobody waits for rides with the next one."""
        events: list[LedgerEvent] = []
        while self._waiting and self._ledger is not None:
            wishes = [self._waiting.popleft()]
            while self._waiting and wishes[-1].ticket is None:
                wishes.append(self._waiting.popleft())
            entries = [entry for wish in wishes for entry in wish.entries]
            try:
                if entries:
                    self._doubt = _Doubt(wishes=tuple(wishes), position=self._ledger.position)
                    self._ledger.append(entries)
                    self._doubt = None
            except LedgerError as error:
                return events + self._failed(error, now_ms)
            self._untidy_since_ms = now_ms
            counts = self._ledger.counts()
            events += [Done(ticket=wish.ticket, counts=counts) for wish in wishes if wish.ticket is not None]
        return events

    def _guarded(self, now_ms: int, action: Callable[[Ledger], None]) -> list[LedgerEvent]:
        assert self._ledger is not None
        try:
            action(self._ledger)
        except LedgerError as error:
            return self._failed(error, now_ms)
        return []

    def _failed(self, error: LedgerError, now_ms: int) -> list[LedgerEvent]:
        """Close at once: a connection that failed is believed in nothing any more."""
        drop_frames(error)
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        self._retry_ms = now_ms + RETRY_MS
        return self._in_trouble(error)

    def _in_trouble(self, error: LedgerError) -> list[LedgerEvent]:
        reason = str(error)
        if self._trouble == reason:
            return []
        self._trouble = reason
        return [Failed(reason=reason, damaged=isinstance(error, LedgerDamaged))]

    def _out_of_trouble(self) -> list[LedgerEvent]:
        if self._trouble is None:
            return []
        self._trouble = None
        return [Returned()]
