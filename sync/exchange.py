"""What the ledger and the uploader hand each other: plain data, so that neither knows how the other works."""

from __future__ import annotations

from dataclasses import dataclass

from sync.records import Head, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the ledger would send next: read in one go, so that its parts belong together.

    ``records`` follow the cursor without a gap and are of one generation; empty when nothing is pending.
    ``head`` is the newest record of the whole ledger. ``generations`` are all that it holds, oldest first.
    ``held`` are the records under an unreleased hold, oldest first, at most :data:`HELD_MAX` of them.
    """

    records: tuple[Record, ...]
    head: Head
    generations: tuple[str, ...]
    held: tuple[Head, ...] = ()


HELD_MAX = 1_000
"""How many holds one request asks after; a bin with more has a problem that an operator must see anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The server keeps a record but does not pay it yet. ``code`` is for machines, ``text`` for people."""

    generation: str
    seq: int
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The server ended a hold."""

    generation: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """A believed answer. The ledger moves its cursor, up or down, to (generation, seq) and writes the verdicts.

    One transaction. ``seq`` is 0 when the server has nothing of that generation. Holds are written anew when they are
    already there; a release without a hold changes nothing.
    """

    generation: str
    seq: int
    hash: bytes
    held: tuple[Hold, ...] = ()
    released: tuple[Release, ...] = ()
