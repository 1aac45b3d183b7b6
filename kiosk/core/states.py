"""One dataclass per state of the main job, and the bin around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from kiosk.core.effects import Effect
from kiosk.core.events import Levels, MassWeighed
from kiosk.core.interlock import Temperature
from kiosk.core.settings import Settings
from kiosk.core.tariff import CapClock
from sync.records import CappedCredit, Counts, Deposit, Evidence, Holder, MassSample, Passage, Refusal, Tariff


class Credit(Struct, frozen=True, kw_only=True):
    """One committed deposit of the session in front of the screen."""

    item_id: str
    battery_class: str
    count: int
    points: int
    unpaid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One resident at the bin, from the card to the goodbye."""

    holder: Holder
    points: int = 0
    items: int = 0
    credit: Credit | None = None
    """The last committed deposit; nothing uncommitted is ever put here."""
    refused: str | None = None
    """Why the last thing was refused."""
    next_holder: Holder | None = None
    """A second card was read: the item in flight belongs to the first, then the session changes."""
    active_ms: int
    """When a card or an item last showed that somebody stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What lies, or should lie, on the shelf."""

    item_id: str
    passages: tuple[Passage, ...]
    fell_ms: int
    masses: tuple[MassSample, ...] = ()


# --- phases of the main job -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovering:
    """The shelf is unknown: cycle the gate once to store, then tare. Also the state after every start.

    ``deposited``: what lies there has its committed deposit already, so clearing it makes no orphan. ``session``: whose
    item was interrupted; that resident still reads what was credited, and why it goes no further.
    """

    stage: Literal["waiting", "turning", "homing", "settling"] = "waiting"
    since_ms: int
    before_mg: int | None = None
    deposited: bool = False
    session: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Shelf empty, flap locked. ``farewell`` is the session that just ended, until ``farewell_until_ms``."""

    farewell: Session | None = None
    farewell_until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """The flap is unlocked for this resident."""

    session: Session
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The flap was told to lock; waiting until it is sensed closed and the beams are clear.

    Without an item the session is over and ends as soon as nothing can fall in any more.
    """

    session: Session
    item: Item | None
    since_ms: int
    quiet_since_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Flap locked and closed, beams clear: two equal stable readings make the mass."""

    session: Session
    item: Item
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Committing:
    """Judged and asked to be recorded; nothing is shown and nothing moves until it is durable."""

    session: Session
    item: Item
    evidence: Evidence
    body: Deposit | Refusal
    disturbed: Literal["retracted", "door"] | None = None
    """What happened to the item after the verdict: it rose through the beams, or the door was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tipping:
    """Durable; the gate takes it to the store, or gives a refused thing back."""

    session: Session
    body: Deposit | Refusal
    stage: Literal["holding", "turning", "homing", "settling", "done"]
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The daemon ends: locked, motor off, nothing more is done."""


Phase = Recovering | Idle | Accepting | Closing | Weighing | Committing | Tipping | Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Everything that the controller knows. The phase is the main job; the rest are facts that hold beside it."""

    settings: Settings
    phase: Phase
    cap_clock: CapClock
    language: Literal["zh", "en"]
    temperatures: Mapping[str, Temperature]

    levels: Levels | None = None
    mass: MassWeighed | None = None
    mass_ms: int = 0
    equal_stable: int = 0
    """How many stable readings in a row agree with each other, the last one included."""
    tare_mg: int | None = None

    ledger_open: bool = False
    storage_trouble: str | None = None
    ledger_damaged: bool = False
    counts: Counts = field(default_factory=Counts)
    open_deposits: tuple[str, ...] = ()
    credits: tuple[CappedCredit, ...] = ()
    tariff: Tariff | None = None

    latched: frozenset[str] = frozenset()
    unrecorded_hazards: Mapping[str, str] = field(default_factory=dict)
    """Latched before the ledger was open, with the sentence for the record."""
    clearing: str | None = None
    """Ticket of the clearing that waits to be durable; forgotten when it becomes hot again meanwhile."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Devices that do not answer now, with the reason in words."""
    gate_blocked: str | None = None
    """Why the gate failed; forgotten when a technician has opened and shut the door."""
    not_shut_since_ms: int | None = None
    """Since when the flap is not sensed closed, or a beam is blocked, outside of a session."""
    inputs_lost: str | None = None
    recorded_faults: frozenset[str] = frozenset()

    online: bool = False
    sync_trouble: str | None = None
    notice: Literal["orphan_cleared"] | None = None
    notice_until_ms: int = 0


Step = tuple[Bin, tuple[Effect, ...]]
"""What one event leads to: the new state, and what is to be done about it, in order."""


def new_bin(settings: Settings, now_ms: int) -> Bin:
    """The state before the first event: closed, shelf unknown, nothing read yet."""
    return Bin(
        settings=settings,
        phase=Recovering(since_ms=now_ms),
        cap_clock=CapClock(cap_ms=0, mono_ms=now_ms),
        mass_ms=now_ms,
        language=settings.language,
        temperatures={name: Temperature(milli_celsius=None, at_ms=now_ms) for name in settings.temperature_sensors},
    )
