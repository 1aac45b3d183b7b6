"""The local queue of credits: append-only records in SQLite, one cursor, held rows."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from sync.exchange import Apply
from sync.ledger.chain import Reason, following, insert, insert_generation, next_record
from sync.ledger.errors import LedgerError
from sync.ledger.file import ILL_FORMED, Connect, Marker, check_room, explained, write_marker
from sync.ledger.lock import LedgerLock
from sync.ledger.opening import OpenLedger, open_ledger
from sync.ledger.reading import LedgerReading
from sync.ledger.schema import selecting, to_record
from sync.ledger.values import Entry
from sync.records import Counts, Deposit, Emptied, Head, Record, Stamp, Tariff, encode_body, kind_of

TIDY_COMMITS = 64
"""Commits, at up to seven pages each, after which an idle moment is used to empty the log."""

_HOLD = (
    "INSERT INTO verdicts (position, verdict, code, text) VALUES (?, 'held', ?, ?) ON CONFLICT DO UPDATE "
    "SET verdict = excluded.verdict, code = excluded.code, text = excluded.text"
)
_DEPOSITS_BETWEEN = (
    # The unary plus makes SQLite read the stretch that the cursor passed, instead of all deposits there ever were.
    "SELECT count(*) FROM records WHERE +kind = 'deposit' AND position > ? AND position <= ?"
)
_WRITTEN_AFTER = selecting("", "FROM records WHERE position > ? ORDER BY position")


def random_id() -> str:
    """A name for a generation or an opening; no two alike on any machine."""
    return secrets.token_hex(8)


class Ledger(LedgerReading):
    """An open ledger: the one writer, on the one connection.

    A method that raises :class:`LedgerUnavailable` or :class:`LedgerDamaged` while writing leaves the outcome unknown,
    COMMIT included. From then on nothing more is written: close, open anew, and ask :meth:`missing` what is absent
    before it is appended again. :class:`~sync.ledger.keeper.LedgerKeeper` does that.
    """

    def __init__(
        self,
        path: Path,
        opened: OpenLedger,
        *,
        own_lock: LedgerLock | None,
        new_id: Callable[[], str],
        free_bytes_min: int,
    ) -> None:
        super().__init__(path, opened.database)
        self._connection: sqlite3.Connection = opened.database.conn
        self._open_id = opened.open_id
        self._end = opened.end
        self._own_lock = own_lock
        self._new_id = new_id
        self._free_bytes_min = free_bytes_min
        self._counts = super().counts()
        self._commits = 0
        self._failure: str | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        bin_id: str,
        host_id: str,
        stamp: Stamp,
        free_bytes_min: int,
        connect: Connect = sqlite3.connect,
        lock: LedgerLock | None = None,
        new_id: Callable[[], str] = random_id,
    ) -> Ledger:
        """Open or create the ledger at ``path``; its folder exists.

        ``host_id`` names this machine and card: another one than before begins a new generation ("moved"), as does an
        older copy put back ("restored"). ``lock``: one that the caller holds and keeps; without it the ledger takes
        its own and lets go at :meth:`close`. ``stamp`` is for the record of a new generation.

        Raises :class:`LedgerInUse`, :class:`LedgerDamaged`, :class:`LedgerUnavailable`, and :class:`LedgerError` for
        the ledger of another bin.
        """
        with contextlib.ExitStack() as undo:
            own_lock = None if lock else LedgerLock(path)
            if own_lock:
                undo.callback(own_lock.release)
            try:
                opened = open_ledger(path, bin_id=bin_id, host_id=host_id, stamp=stamp, connect=connect, new_id=new_id)
            except LedgerError:
                raise
            except (sqlite3.Error, OSError, *ILL_FORMED) as error:
                raise explained(error, path) from error
            undo.callback(opened.database.conn.close)
            self = cls(path, opened, own_lock=own_lock, new_id=new_id, free_bytes_min=free_bytes_min)
            undo.pop_all()
        return self

    # --- writing ----------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Make the entries durable in one transaction, in order; one fdatasync of the log.

        An item has one record of each kind: a second deposit, refusal or tip about it is an assertion, as is what
        :func:`~sync.ledger.chain.next_record` says.
        """
        assert entries
        self._assert_usable()
        end, counts = self._end, self._counts
        records: list[Record] = []
        for entry in entries:
            record = next_record(end, entry)
            end, counts = following(end, record), _counting(counts, entry)
            records.append(record)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for position, (record, entry) in enumerate(zip(records, entries, strict=True), self._end.position + 1):
                insert(self._connection, position, record, entry)
            self._connection.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._connection.execute("ROLLBACK")
            raise AssertionError(f"recorded already, one of {[entry.item_id for entry in entries]}") from error
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._end, self._counts = end, counts
        self._commits += 1
        return records

    def missing(self, entries: Sequence[Entry], *, after: int) -> list[Entry]:
        """Which of the entries are not in the ledger; asked after a write whose outcome is unknown.

        Entries about an item are looked for by kind and item; the others among the records behind the position
        ``after`` (see :attr:`position`), by kind, stamp and body.
        """
        with self._explaining():
            written = [to_record(row) for row in self._rows(_WRITTEN_AFTER, after)]
        unmatched = [(record.kind, record.stamp, record.body) for record in written]
        absent: list[Entry] = []
        for entry in entries:
            kind = kind_of(entry.body)
            if entry.item_id is not None:
                if self.find_item(entry.item_id, kind) is None:
                    absent.append(entry)
            elif (key := (kind, entry.stamp, encode_body(entry.body))) in unmatched:
                unmatched.remove(key)
            else:
                absent.append(entry)
        return absent

    def apply(self, answer: Apply) -> Counts | None:
        """Move the cursor, up or down, and write the verdicts: one transaction.

        Null, and nothing written, when the acknowledged hash is not our own at that place: an alarm for the caller.
        Verdicts on records that the ledger does not have are passed over.
        """
        self._assert_usable()
        if self.hash_at(answer.generation, answer.seq) != answer.hash:
            return None
        with self._explaining():
            old = self._count("SELECT cursor FROM state")
            new = self._position_at(answer.generation, answer.seq)
            assert new is not None
            held = [(self._position_at(hold.generation, hold.seq), hold.code, hold.text) for hold in answer.held]
            released = [(self._position_at(release.generation, release.seq),) for release in answer.released]
        if new == old and not held and not released:
            return self._counts
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("UPDATE state SET cursor = ?", (new,))
            self._connection.executemany(_HOLD, [row for row in held if row[0] is not None])
            self._connection.executemany("UPDATE verdicts SET verdict = 'released' WHERE position = ?", released)
            passed = self._count(_DEPOSITS_BETWEEN, min(old, new), max(old, new))
            held_count = self._held_count(new)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._commits += 1
        counts = self._counts
        pending = counts.pending + (passed if new < old else -passed)
        self._counts = replace(
            counts, acknowledged=counts.accepted - pending - held_count, pending=pending, held=held_count
        )
        return self._counts

    def begin_generation(self, reason: Reason, stamp: Stamp, *, instead_of: str) -> Head:
        """Begin a new generation; its first record names the last record of the one before.

        Nothing happens when ``instead_of`` is not the generation in use: the server says ``fork`` about each batch
        of a forked generation, and one new generation answers them all.
        """
        self._assert_usable()
        if instead_of == self._end.generation:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                (bin_id,) = self._connection.execute("SELECT bin_id FROM state").fetchone()
                self._end = insert_generation(
                    self._connection, self._end, generation=self._new_id(), bin_id=bin_id, reason=reason, stamp=stamp
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._failed(error) from error
            self._commits += 1
        return self._end.head

    def store_tariff(self, tariff: Tariff) -> bool:
        """Keep a tariff that the server issued and make it the current one.

        False, and nothing changed, when that version is known with other prices: a version never changes its meaning.
        """
        self._assert_usable()
        body = msgspec.json.encode(tariff, order="deterministic")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            known = self._one("SELECT body FROM tariffs WHERE version = ?", tariff.version)
            agrees = known is None or known[0] == body
            if known is None:
                self._connection.execute("INSERT INTO tariffs (version, body) VALUES (?, ?)", (tariff.version, body))
            if agrees:
                self._connection.execute("UPDATE state SET tariff_version = ?", (tariff.version,))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._commits += 1
        return agrees

    # --- asking -----------------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        return self._end.position

    @property
    def in_transaction(self) -> bool:
        """Whether a write was begun and neither committed nor undone; between calls only after a programming error."""
        return self._connection.in_transaction

    def head(self) -> Head:
        return self._end.head

    def counts(self) -> Counts:
        """Kept up to date with each commit; :meth:`LedgerReading.counts` is the same, counted."""
        return self._counts

    def check_storage(self) -> None:
        """Raise :class:`LedgerUnavailable` when the medium is read-only or nearly full, before a commit meets it.

        The reserve stays usable: a battery that has already fallen is still recorded.
        """
        with self._explaining():
            check_room(self.path, self._free_bytes_min)

    # --- housekeeping -----------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Empty the log into the database if enough has gathered; for an idle moment.

        The first commit into an emptied log flushes twice (its header, then its frames), so one that changes nothing
        is made here, and the next deposit finds a log that takes one fdatasync.
        """
        if self._commits < TIDY_COMMITS:
            return
        self._assert_usable()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._connection.execute("BEGIN IMMEDIATE")
            # There and back: a page that no statement changes is not written, and the next deposit would pay.
            self._connection.execute("UPDATE state SET cursor = cursor + 1")
            self._connection.execute("UPDATE state SET cursor = cursor - 1")
            self._connection.execute("COMMIT")
            write_marker(self.path, Marker(open_id=self._open_id, position=self._end.position))
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error
        self._commits = 0

    def close(self) -> None:
        """Close the file and let go of a lock taken by :meth:`open`. Raises nothing; harmless when done twice."""
        if self._failure is None:
            with contextlib.suppress(OSError):
                write_marker(self.path, Marker(open_id=self._open_id, position=self._end.position))
        self._failure = "closed"
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        if self._own_lock:
            self._own_lock.release()

    def _assert_usable(self) -> None:
        assert self._failure is None, f"the ledger must be opened anew: {self._failure}"

    def _failed(self, error: sqlite3.Error | OSError) -> LedgerError:
        failure = explained(error, self.path)
        self._failure = str(failure)
        return failure


def _counting(counts: Counts, entry: Entry) -> Counts:
    """The counts with one more entry."""
    match entry.body:
        case Deposit():
            return replace(
                counts,
                accepted=counts.accepted + 1,
                pending=counts.pending + 1,
                since_emptied=counts.since_emptied + 1,
            )
        case Emptied():
            return replace(counts, since_emptied=0)
        case _:
            return counts
