"""Scripts of (milliseconds since the last line, event, expected effects, expected screen), played against the core.

Effects must match one for one and in order; a line without a tuple of effects takes whatever comes. After every event
the :class:`Witness` checks what must hold in any state, so that a playbook that forgets to look is still one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from kiosk.core import judge, machine, senses, view
from kiosk.core.effects import Append, AppendLater, Effect, LockFlap, StopGate, TurnGate, UnlockFlap
from kiosk.core.events import (
    Appended,
    CardPresented,
    Event,
    ItemPassed,
    LedgerOpened,
    Levels,
    LevelsRead,
    MassWeighed,
    TemperatureMeasured,
    Ticked,
)
from kiosk.core.settings import Settings
from kiosk.core.states import Accepting, Bin, new_bin
from sync.records import Body, Counts, Deposit, Holder, Passage, Tariff, TariffItem, TipConfirmed, TipFailed

ALICE = Holder(scheme="em4100", ref="k1:alice")
BOB = Holder(scheme="em4100", ref="k1:bob")
TARIFF = Tariff(
    version=7,
    items={"AA": TariffItem(item_code="B-AA", points=10), "AAA": TariffItem(item_code="B-AAA", points=5)},
)
GOOD = Levels(
    door_closed=True, flap_closed=True, beam_a_blocked=False, beam_b_blocked=False, gate="home", gate_fault=None
)
COOL = TemperatureMeasured(sensor="bin", milli_celsius=20_000)
HOT = TemperatureMeasured(sensor="bin", milli_celsius=61_000)
TARE_MG = 500_000
AA_MG = 23_800

AA_EDGES = (("a", True, 0), ("b", True, 22_000), ("a", False, 24_700), ("b", False, 46_000))
COIN_EDGES = (("a", True, 0), ("a", False, 1_500), ("b", True, 22_000), ("b", False, 23_400))
UP_EDGES = (("b", True, 0), ("a", True, 30_000), ("b", False, 40_000), ("a", False, 70_000))
STRING_EDGES = (*AA_EDGES, ("b", True, 400_000), ("a", True, 430_000), ("b", False, 450_000), ("a", False, 480_000))
HAND_EDGES = (("a", True, 0), ("b", True, 100_000), ("a", False, 600_000), ("b", False, 700_000))
PROBE_EDGES = (("a", True, 0), ("a", False, 300_000))


def passage(edges: Iterable[Any] = AA_EDGES) -> Passage:
    return Passage(started_ms=0, edges=tuple(edges))


def passed(item_id: str = "i1", edges: Iterable[Any] = AA_EDGES) -> ItemPassed:
    return ItemPassed(item_id=item_id, passage=passage(edges))


def later_by(edges: Iterable[Any], us: int) -> tuple[Any, ...]:
    return tuple((line, active, t_us + us) for line, active, t_us in edges)


def card(holder: Holder = ALICE) -> CardPresented:
    return CardPresented(holder=holder)


def levels(**changed: Any) -> LevelsRead:
    return LevelsRead(levels=replace(GOOD, **changed))


def weighs(net_mg: int, *, stable: bool = True) -> MassWeighed:
    return MassWeighed(mass_mg=TARE_MG + net_mg, stable=stable)


def appended(ticket: str = "i1", counts: Counts | None = None) -> Appended:
    return Appended(ticket=ticket, counts=counts or Counts(accepted=1, pending=1))


def opened(**changed: Any) -> LedgerOpened:
    empty = LedgerOpened(counts=Counts(), open_deposits=(), hazards=(), faults=(), credits=(), cap_ms=0, tariff=TARIFF)
    return replace(empty, **changed)


@dataclass(frozen=True)
class Asked:
    """Stands in a script for an effect that records something: its kind, and the fields that matter here."""

    effect: type[Append] | type[AppendLater]
    body: type[Body]
    fields: dict[str, Any]

    def matches(self, effect: Effect) -> bool:
        return (
            isinstance(effect, self.effect)
            and isinstance(effect.body, self.body)
            and all(getattr(effect.body, name) == value for name, value in self.fields.items())
        )


def append(body: type[Body], **fields: Any) -> Asked:
    return Asked(Append, body, fields)


def later(body: type[Body], **fields: Any) -> Asked:
    return Asked(AppendLater, body, fields)


@dataclass
class Witness:
    """What must hold after every step of every run."""

    unlocked: bool = False
    durable: set[str] = field(default_factory=set)
    asked: dict[str, Body] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def saw(self, bin: Bin, event: Event, effects: tuple[Effect, ...], now_ms: int) -> None:
        if isinstance(event, Appended):
            self.durable.add(event.ticket)
        for effect in effects:
            self.allows(bin, effect, now_ms)
        assert not self.unlocked or isinstance(bin.phase, Accepting), f"flap unlocked in {bin.phase}"
        shown = view.view_of(bin, now_ms).credit
        assert shown is None or shown.item_id in self.durable, "shown before it was durable"

    def allows(self, bin: Bin, effect: Effect, now_ms: int) -> None:
        match effect:
            case UnlockFlap():
                assert machine.may_begin(bin, now_ms)
                self.unlocked = True
            case LockFlap():
                self.unlocked = False
            case TurnGate(to=to):
                assert senses.closed_because(bin, now_ms) is None
                assert senses.shut(bin)
                body = getattr(bin.phase, "body", None)
                if isinstance(body, Deposit):
                    assert body.item_id in self.durable, "tipped before the commit"
                    assert to != "return"
            case Append(body=Deposit() as body, ticket=ticket):
                assert body.item_id not in self.asked, "asked twice for one item"
                self.asked[body.item_id] = body
                assert ticket == body.item_id
            case AppendLater(body=TipConfirmed(item_id=item_id) | TipFailed(item_id=item_id)):
                assert item_id not in self.ended, "two ends of one deposit"
                self.ended.append(item_id)


class Playbook:
    """One bin and the clock that it is played by."""

    def __init__(self, settings: Settings | None = None, *, boot_ms: int = 0) -> None:
        self.now_ms = boot_ms
        self.bin = new_bin(settings or Settings(), boot_ms)
        self.witness = Witness()
        self.levels = GOOD
        self.net_mg = 0
        self.effects: tuple[Effect, ...] = ()

    def play(self, *script: tuple[Any, ...]) -> Playbook:
        """Play the lines: (ms since the last, event[, effects[, screen or (screen, reason)]])."""
        for after_ms, event, *expected in script:
            effects = self.feed(after_ms, event)
            if expected:
                self.same(event, effects, expected[0])
            if len(expected) > 1:
                self.shows(expected[1])
        return self

    def feed(self, after_ms: int, event: Event) -> tuple[Effect, ...]:
        self.now_ms += after_ms
        self.bin, self.effects = machine.step(self.bin, event, self.now_ms)
        if isinstance(event, LevelsRead):
            self.levels = event.levels
        self.witness.saw(self.bin, event, self.effects, self.now_ms)
        return self.effects

    def same(self, event: Event, effects: tuple[Effect, ...], expected: tuple[Any, ...]) -> None:
        assert len(effects) == len(expected), f"{event}: {effects}"
        for effect, wanted in zip(effects, expected, strict=True):
            fits = wanted.matches(effect) if isinstance(wanted, Asked) else effect == wanted
            assert fits, f"{event}: {effect}, not {wanted}"

    def shows(self, wanted: str | tuple[str, str | None]) -> Playbook:
        now = self.view
        assert (now.screen, now.reason) == wanted if isinstance(wanted, tuple) else now.screen == wanted, now
        return self

    @property
    def view(self) -> view.View:
        return view.view_of(self.bin, self.now_ms)

    def phase(self) -> str:
        stage = getattr(self.bin.phase, "stage", None)
        return type(self.bin.phase).__name__ + (f" {stage}" if stage else "")

    def wait(self, ms: int, *, without: tuple[str, ...] = ()) -> list[Effect]:
        """Let time pass while the sensors say the same as before; ``without``: those that are silent."""
        done: list[Effect] = []
        for step_ms in [500] * (ms // 500) + ([ms % 500] if ms % 500 else []):
            done += self.feed(step_ms, Ticked())
            if "levels" not in without:
                done += self.feed(0, LevelsRead(levels=self.levels))
            if "scale" not in without:
                done += self.feed(0, weighs(self.net_mg))
            if "thermometer" not in without:
                done += self.feed(0, COOL)
        return done

    # --- stages of a good deposit -----------------------------------------------------------------------------------

    def ready(self, **ledger: Any) -> Playbook:
        """From the start to idle: the shelf is found by one cycle."""
        self.play((0, opened(**ledger)), (0, COOL), (0, weighs(0)), (100, weighs(0)), (0, levels()))
        return self.cycle()

    def cycle(self) -> Playbook:
        self.net_mg = 0
        return self.play(
            (100, levels(gate="between")),
            (100, levels(gate="store"), (TurnGate(to="home"),)),
            (100, levels(gate="home"), ()),
            (100, weighs(0)),
            (100, weighs(0)),
        )

    def begun(self, holder: Holder = ALICE) -> Playbook:
        return self.ready().play((1_000, card(holder), (UnlockFlap(),), "accepting"))

    def dropped(self, item_id: str = "i1", *, net_mg: int = AA_MG, edges: Iterable[Any] = AA_EDGES) -> Playbook:
        """The flap swings, something falls and lies there; the flap stays open."""
        self.play((500, levels(flap_closed=False), ()), (60, passed(item_id, edges), (LockFlap(),), "closing"))
        self.net_mg = net_mg
        return self

    def shut(self) -> Playbook:
        self.play((100, levels(), ()), (150, levels(), (), "weighing"))
        assert self.phase() == "Weighing"
        return self

    def weighed(self) -> Playbook:
        self.play((300, weighs(self.net_mg), ()), (100, weighs(self.net_mg)))
        assert self.phase() == "Committing"
        return self.shows("committing")

    def judged(self, item_id: str = "i1", *, net_mg: int = AA_MG, edges: Iterable[Any] = AA_EDGES) -> Playbook:
        return self.dropped(item_id, net_mg=net_mg, edges=edges).shut().weighed()

    def committed(self, item_id: str = "i1") -> Playbook:
        return self.play((20, appended(item_id)))

    def tipped(self, to: str = "store") -> Playbook:
        """The gate goes there and back, and the shelf is empty."""
        self.play(
            (300, levels(gate="between"), ()),
            (300, levels(gate=to), (TurnGate(to="home"),)),
            (300, levels(gate="home"), ()),
        )
        self.net_mg = 0
        return self.play((100, weighs(0), ()), (100, weighs(0)))

    def deposit(self, item_id: str) -> Playbook:
        return self.judged(item_id).committed(item_id).tipped()


def at(phase: str, settings: Settings | None = None) -> Playbook:
    """A bin in the named phase, reached on the way of a good deposit."""
    book = Playbook(settings)
    match phase:
        case "Recovering waiting":
            return book.play((0, opened()), (0, COOL), (0, levels()))
        case "Recovering turning":
            return book.play((0, opened()), (0, COOL), (0, levels()), (0, weighs(0)), (100, weighs(0)))
        case "Recovering homing":
            return at("Recovering turning", settings).play((100, levels(gate="store")))
        case "Recovering settling":
            return at("Recovering homing", settings).play((100, levels()))
        case "Idle":
            return book.ready()
        case "Accepting":
            return book.begun()
        case "Closing":
            return book.begun().dropped()
        case "Weighing":
            return book.begun().dropped().shut()
        case "Committing":
            return book.begun().judged()
        case "Tipping turning":
            return book.begun().judged().committed()
        case "Tipping homing":
            return at("Tipping turning", settings).play((300, levels(gate="store")))
        case "Tipping settling":
            return at("Tipping homing", settings).play((300, levels()))
    raise AssertionError(phase)


PHASES = (
    "Recovering waiting",
    "Recovering turning",
    "Recovering homing",
    "Recovering settling",
    "Idle",
    "Accepting",
    "Closing",
    "Weighing",
    "Committing",
    "Tipping turning",
    "Tipping homing",
    "Tipping settling",
)
TIPPING = tuple(phase for phase in PHASES if phase.startswith("Tipping"))
FULL = judge.PASSAGES_MAX
STOPPED = (LockFlap(), StopGate())
