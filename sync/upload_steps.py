"""What the uploader asks of whoever drives it, and what came of the server's answers: plain data."""

from __future__ import annotations

from dataclasses import dataclass

from sync.exchange import Apply
from sync.records import Tariff

# --- what to do -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before this time, unless an answer or :meth:`Uploader.poke` comes."""

    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskBatch:
    """Read the next batch from the ledger and give it to :meth:`Uploader.batch`."""

    records_max: int
    bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHash:
    """Look up our own hash of that place and give it to :meth:`Uploader.own_hash`. Seq 0 has 32 zero bytes."""

    generation: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Make this request, and report to :meth:`Uploader.answered` or :meth:`Uploader.failed`."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Command = Wait | AskBatch | AskHash | Send


# --- what came of it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """The server has other records under identities of this generation: begin a new one in its place."""

    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffIssued:
    tariff: Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTime:
    """Unix time that the server signed when it answered."""

    wall_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person should see. Said once per code until an answer has been believed again."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Online:
    """An answer was believed, after none or trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """No answer that can be believed; ``trouble`` says why. Said again when the reason changes."""

    trouble: str


Outcome = Apply | Forked | TariffIssued | ServerTime | Alarm | Online | Offline
