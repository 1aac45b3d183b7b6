"""What can be asked of a ledger: the open one, or a copy of one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from sync.exchange import HELD_MAX, Batch
from sync.ledger.check import Slice, check
from sync.ledger.errors import LedgerError
from sync.ledger.file import ILL_FORMED, explained, first_row
from sync.ledger.schema import selecting, to_bytes, to_head, to_record
from sync.ledger.values import HeldRecord, Problem, Snapshot
from sync.records import (
    ZERO_HASH,
    Boot,
    CappedCredit,
    Counts,
    Deposit,
    FaultCleared,
    FaultRaised,
    HazardCleared,
    HazardRaised,
    Head,
    Record,
    Tariff,
)

DAY_MS = 24 * 3_600_000

_AFTER = selecting("", "FROM records WHERE position > ? ORDER BY position LIMIT ?")
_AFTER_OF = selecting("", "FROM records WHERE position > ? AND kind = ? ORDER BY position LIMIT ?")
_BEFORE = selecting("", "FROM records WHERE position < ? ORDER BY position DESC LIMIT ?")
_BEFORE_OF = selecting("", "FROM records WHERE position < ? AND kind = ? ORDER BY position DESC LIMIT ?")
_PENDING = selecting("", "FROM records WHERE position > (SELECT cursor FROM state) ORDER BY position LIMIT ?")
_ITEM = selecting("", "FROM records WHERE kind = ? AND item_id = ?")
_HELD = selecting(
    "code, text, ", "FROM verdicts JOIN records USING (position) WHERE verdict = 'held' ORDER BY position"
)

_dated: msgspec.json.Decoder[Boot | Deposit] = msgspec.json.Decoder(Boot | Deposit)
_change: msgspec.json.Decoder[HazardRaised | HazardCleared | FaultRaised | FaultCleared] = msgspec.json.Decoder(
    HazardRaised | HazardCleared | FaultRaised | FaultCleared
)


class LedgerReading:
    """Questions to a ledger. Every method raises :class:`LedgerUnavailable` or :class:`LedgerDamaged`.

    An argument that SQLite cannot take is an :class:`OverflowError` or :class:`UnicodeEncodeError`, and no damage.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._db = database

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (LedgerError, OverflowError, UnicodeEncodeError):
            # The latter two are about what was asked for: no number or text that SQLite gives could meet them.
            raise
        except (sqlite3.Error, OSError, *ILL_FORMED) as error:
            raise explained(error, self.path) from error

    def _rows(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self._db.conn.execute(sql, parameters)
        return cursor

    def _one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        return first_row(self._db, sql, parameters)

    def _row(self, sql: str, *parameters: object) -> tuple[Any, ...]:
        """The row that every whole ledger has. Raises :class:`LookupError`."""
        row = self._one(sql, *parameters)
        if row is None:
            raise LookupError(f"no row answers {sql}")
        return row

    def head(self) -> Head:
        """The last record of the newest generation."""
        with self._explaining():
            return to_head(self._row("SELECT generation, seq, hash FROM records ORDER BY position DESC LIMIT 1"))

    def cursor(self) -> Head | None:
        """The last acknowledged record, null when nothing has been acknowledged."""
        with self._explaining():
            row = self._one("SELECT generation, seq, hash FROM records JOIN state ON position = cursor")
            return to_head(row) if row else None

    @property
    def position(self) -> int:
        """How many records the ledger holds, through all generations."""
        with self._explaining():
            return self._count("SELECT coalesce(max(position), 0) FROM records")

    def is_acknowledged(self, generation: str, seq: int) -> bool:
        """Whether the server has said that it holds this record durably; false for one that does not exist."""
        with self._explaining():
            position = self._position_at(generation, seq)
            return position is not None and position <= self._count("SELECT cursor FROM state")

    def hash_at(self, generation: str, seq: int) -> bytes | None:
        """The hash of one record, 32 zero bytes at seq 0, null when the ledger has no such record."""
        with self._explaining():
            if seq == 0:
                return ZERO_HASH if self._position_at(generation, 1) else None
            row = self._one("SELECT hash FROM records WHERE generation = ? AND seq = ?", generation, seq)
            return to_bytes(row[0]) if row else None

    def _position_at(self, generation: str, seq: int) -> int | None:
        """Where a record stands; for seq 0 the position before its generation."""
        row = self._one("SELECT position FROM records WHERE generation = ? AND seq = ?", generation, max(seq, 1))
        if row is None:
            return None
        return int(row[0]) if seq else int(row[0]) - 1

    def find_item(self, item_id: str, kind: str = "deposit") -> Record | None:
        """The one record of that kind about that item."""
        with self._explaining():
            row = self._one(_ITEM, kind, item_id)
            return to_record(row) if row else None

    def evidence(self, item_id: str) -> bytes | None:
        """The evidence of a deposit or refusal; null when there is none (any more)."""
        with self._explaining():
            row = self._one(
                "SELECT data FROM evidence JOIN records USING (position) "
                "WHERE kind IN ('deposit', 'refusal') AND item_id = ?",
                item_id,
            )
            return to_bytes(row[0]) if row else None

    def records(
        self,
        *,
        kind: str | None = None,
        after: tuple[str, int] | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Record]:
        """At most ``limit`` records, oldest first, from behind ``after`` (generation, seq) or the beginning.

        ``newest_first`` turns the direction round: from before ``after`` or the end, backwards. Empty when there is no
        record ``after``.
        """
        with self._explaining():
            start = self._position_at(*after) if after else 2**63 - 1 if newest_first else 0
            if start is None:
                return []
            if kind is None:
                rows = self._rows(_BEFORE if newest_first else _AFTER, start, limit)
            else:
                rows = self._rows(_BEFORE_OF if newest_first else _AFTER_OF, start, kind, limit)
            return [to_record(row) for row in rows]

    def held(self) -> list[HeldRecord]:
        """What the server holds, oldest first, with its reasons."""
        with self._explaining():
            rows = self._rows(_HELD).fetchall()
            return [
                HeldRecord(code=str(code), text=str(text), record=to_record(tuple(columns)))
                for code, text, *columns in rows
            ]

    def counts(self) -> Counts:
        """Counted anew from the tables."""
        with self._explaining():
            row = self._one("SELECT cursor FROM state")
            cursor = row[0] if row else 0
            accepted = self._count("SELECT count(*) FROM records WHERE kind = 'deposit'")
            pending = self._count("SELECT count(*) FROM records WHERE kind = 'deposit' AND position > ?", cursor)
            held = self._held_count(cursor)
            since_emptied = self._count(
                "SELECT count(*) FROM records WHERE kind = 'deposit' AND position > "
                "(SELECT coalesce(max(position), 0) FROM records WHERE kind = 'emptied')"
            )
        return Counts(
            accepted=accepted,
            acknowledged=accepted - pending - held,
            pending=pending,
            held=held,
            since_emptied=since_emptied,
        )

    def _held_count(self, cursor: int) -> int:
        return self._count(
            "SELECT count(*) FROM verdicts JOIN records USING (position) "
            "WHERE verdict = 'held' AND kind = 'deposit' AND position <= ?",
            cursor,
        )

    def _count(self, sql: str, *parameters: object) -> int:
        count = self._row(sql, *parameters)[0]
        if not isinstance(count, int):
            raise TypeError(f"{count!r} is no position or count")
        return count

    def batch(self, records_max: int, bytes_max: int) -> Batch:
        """What to send next: pending records of one generation, no more than ``records_max``.

        Their bodies together stay within ``bytes_max``, except for a single one that is larger by itself.
        """
        assert records_max > 0
        with self._explaining():
            records: list[Record] = []
            size = 0
            for row in self._rows(_PENDING, records_max):
                record = to_record(row)
                size += len(record.body)
                if records and (size > bytes_max or record.generation != records[0].generation):
                    break
                records.append(record)
            # A generation's first record is always seq 1, and there is one per generation.
            generations = self._rows(
                "SELECT generation FROM records WHERE kind = 'generation_started' ORDER BY position"
            ).fetchall()
            held = self._rows(
                "SELECT generation, seq, hash FROM verdicts JOIN records USING (position) "
                "WHERE verdict = 'held' ORDER BY position LIMIT ?",
                HELD_MAX,
            ).fetchall()
            return Batch(
                records=tuple(records),
                head=self.head(),
                generations=_texts(generations),
                held=tuple(to_head(row) for row in held),
            )

    def verify(self) -> list[Problem]:
        """Read everything against pages, chain, generations and evidence; empty when all is as it was written."""
        return list(self.check(after=0, records_max=2**62).problems)

    def check(self, *, after: int, records_max: int) -> Slice:
        """A stretch of :meth:`verify`, for a ledger that is to record meanwhile: start at 0, go on at the answer's."""
        return check(self._db, after=after, records_max=records_max)

    def tariff(self) -> Tariff | None:
        """The newest tariff that the server issued."""
        with self._explaining():
            row = self._one("SELECT body FROM tariffs JOIN state ON version = tariff_version")
            return msgspec.json.decode(row[0], type=Tariff) if row else None

    def opened(self) -> Snapshot:
        """What the controller has to know when it starts."""
        with self._explaining():
            cap_ms, credits = self._recent_credits()
            open_deposits = self._rows(
                "SELECT item_id FROM records AS deposits WHERE kind = 'deposit' AND NOT EXISTS (SELECT 1 FROM records "
                "WHERE kind IN ('tip_confirmed', 'tip_failed') AND item_id = deposits.item_id) ORDER BY position"
            ).fetchall()
            return Snapshot(
                head=self.head(),
                counts=self.counts(),
                open_deposits=_texts(open_deposits),
                hazards=self._raised("hazard_raised", "hazard_cleared"),
                faults=self._raised("fault_raised", "fault_cleared"),
                credits=credits,
                cap_ms=cap_ms,
                tariff=self.tariff(),
            )

    def _recent_credits(self) -> tuple[int, tuple[CappedCredit, ...]]:
        """The cap clock never runs back, so walking backwards may end at the first record that is too old."""
        cap_ms = 0
        credits: list[CappedCredit] = []
        # The unary plus keeps SQLite from reading by kind and sorting all deposits there ever were.
        for (body,) in self._rows("SELECT body FROM records WHERE +kind IN ('deposit', 'boot') ORDER BY position DESC"):
            dated = _dated.decode(body)
            cap_ms = max(cap_ms, dated.cap_ms)
            if dated.cap_ms < cap_ms - DAY_MS:
                break
            if isinstance(dated, Deposit) and dated.points:
                credits.append(CappedCredit(ref=dated.holder.ref, cap_ms=dated.cap_ms, points=dated.points))
        return cap_ms, tuple(reversed(credits))

    def _raised(self, raised: str, cleared: str) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for (body,) in self._rows("SELECT body FROM records WHERE kind IN (?, ?) ORDER BY position", raised, cleared):
            change = _change.decode(body)
            name = change.hazard if isinstance(change, HazardRaised | HazardCleared) else change.device
            if isinstance(change, HazardRaised | FaultRaised):
                names[name] = None
            else:
                names.pop(name, None)
        return tuple(names)


def _texts(rows: list[tuple[Any, ...]]) -> tuple[str, ...]:
    """The only column of each row. Raises :class:`ValueError` where that is no text."""
    return msgspec.convert([column for (column,) in rows], tuple[str, ...])
