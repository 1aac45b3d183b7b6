"""What can happen, in the past tense. Everything the core knows of the world reaches it as one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync.records import CappedCredit, Counts, Holder, Passage, Tariff

GatePosition = Literal["home", "store", "return", "between"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """All level inputs, read together: at start, on every tick and after every edge."""

    door_closed: bool
    flap_closed: bool
    beam_a_blocked: bool
    beam_b_blocked: bool
    gate: GatePosition
    gate_fault: str | None
    """Why the gate's motor was cut (``stall``, ``run_limit``, ``end_stops_disagree``); null while it is well."""

    @property
    def beams_clear(self) -> bool:
        return not (self.beam_a_blocked or self.beam_b_blocked)


# --- events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time passed; deadlines are compared on every step anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelsRead:
    levels: Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPresented:
    holder: Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPassed:
    """Something went through the beams, in whatever way; judging the way is the core's part."""

    item_id: str
    passage: Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class MassWeighed:
    mass_mg: int
    stable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureMeasured:
    sensor: str
    milli_celsius: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureMissed:
    """A conversion that must not be believed."""

    sensor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLost:
    device: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReturned:
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsLost:
    """The inbox was full: events of this source are missing. All levels are read anew after this."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOpened:
    """The ledger is open and whole; this is what it remembers.

    ``open_deposits``: item ids, oldest first, whose tip has neither been confirmed nor failed. ``hazards`` and
    ``faults``: names raised and not cleared since.
    """

    counts: Counts
    open_deposits: tuple[str, ...]
    hazards: tuple[str, ...]
    faults: tuple[str, ...]
    credits: tuple[CappedCredit, ...]
    cap_ms: int
    tariff: Tariff | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The record asked for under ``ticket`` is durable."""

    ticket: str
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFailed:
    """Nothing can be recorded for now. The ledger keeps trying; a ``damaged`` one waits for a technician."""

    reason: str
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageReturned:
    """Recording works again. Whatever was asked to be appended has been, and was or will be reported as Appended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncChanged:
    """The uploader reached the server, or stopped reaching it; ``trouble`` says why in words."""

    online: bool
    counts: Counts | None
    trouble: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimeReceived:
    """A time that the server signed, Unix milliseconds."""

    wall_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffReceived:
    tariff: Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class DonePressed:
    """The resident touched "done"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChosen:
    language: Literal["zh", "en"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardClearRequested:
    """A technician on site asks to clear every latch; answered through ``ticket``."""

    ticket: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyingReported:
    """A technician says that the store was emptied; answered through ``ticket``."""

    ticket: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested:
    """The daemon is to end: outputs safe, nothing new begun."""


Event = (
    Ticked
    | LevelsRead
    | CardPresented
    | ItemPassed
    | MassWeighed
    | TemperatureMeasured
    | TemperatureMissed
    | DeviceLost
    | DeviceReturned
    | InputsLost
    | LedgerOpened
    | Appended
    | StorageFailed
    | StorageReturned
    | SyncChanged
    | ServerTimeReceived
    | TariffReceived
    | DonePressed
    | LanguageChosen
    | HazardClearRequested
    | EmptyingReported
    | StopRequested
)
