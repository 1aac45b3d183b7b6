"""A careless world: mostly it goes on as a good bin would, often something happens to it, sometimes the daemon dies."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from kiosk.core import machine, view
from kiosk.core.effects import Append, AppendLater, Effect, StopGate, TurnGate
from kiosk.core.events import (
    Appended,
    DeviceLost,
    DeviceReturned,
    DonePressed,
    EmptyingReported,
    Event,
    HazardClearRequested,
    InputsLost,
    LanguageChosen,
    LedgerOpened,
    LevelsRead,
    MassWeighed,
    ServerTimeReceived,
    StopRequested,
    StorageFailed,
    StorageReturned,
    SyncChanged,
    TariffReceived,
    TemperatureMeasured,
    TemperatureMissed,
    Ticked,
)
from kiosk.core.settings import Settings
from kiosk.core.states import Accepting, Closing, Committing, Idle, Recovering, Stopped, Tipping, Weighing, new_bin
from sync.records import Body, CappedCredit, Counts, Deposit, HazardCleared, HazardRaised, TipConfirmed, TipFailed
from tests.core.playbook import (
    AA_EDGES,
    AA_MG,
    ALICE,
    BOB,
    COIN_EDGES,
    GOOD,
    HAND_EDGES,
    PROBE_EDGES,
    STRING_EDGES,
    TARE_MG,
    TARIFF,
    UP_EDGES,
    Witness,
    card,
    passed,
)

DEVICES = ("scale", "pins", "card_reader")
HEAL_STEPS_MAX = 400


class Walk:
    """One seed. ``ledger`` holds what is durable; ``asked`` and ``buffered`` die with the daemon, or reach it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.settings = Settings(
            return_way=self.rng.random() < 0.7,
            cap_points=self.rng.choice((20, 100)),
            over_cap=self.rng.choice(("unpaid", "refuse")),
        )
        self.carelessness = self.rng.choice((0.01, 0.03, 0.08))
        self.now_ms = 0
        self.items = 0
        self.levels = GOOD
        self.heading: str | None = None
        self.net_mg = 0
        self.temperature = 20_000
        self.storage = True
        self.lost: set[str] = set()
        self.quiet: set[str] = set()
        self.ledger: list[Body] = []
        self.asked: list[Append] = []
        self.buffered: list[Body] = []
        self.done: Counter[str] = Counter()
        self.start()

    # --- the daemon around the core ---------------------------------------------------------------------------------

    def start(self) -> None:
        self.witness = Witness(durable={body.item_id for body in self.ledger if isinstance(body, Deposit)})
        self.bin = new_bin(self.settings, self.now_ms)
        self.heading, self.levels = None, replace(self.levels, gate_fault=None)
        self.feed(
            LedgerOpened(
                counts=Counts(),
                open_deposits=tuple(self.open_deposits()),
                hazards=("heat",) if self.latched() else (),
                faults=(),
                credits=tuple(
                    CappedCredit(ref=body.holder.ref, cap_ms=body.cap_ms, points=body.points)
                    for body in self.ledger
                    if isinstance(body, Deposit)
                ),
                cap_ms=max((body.cap_ms for body in self.ledger if isinstance(body, Deposit)), default=0),
                tariff=TARIFF,
            )
        )

    def crash(self) -> None:
        """What was asked for reached the card up to some point, in order; nobody heard of it."""
        waiting: list[Body] = [*self.buffered, *(effect.body for effect in self.asked)]
        if self.storage and self.asked:
            self.ledger += waiting[: self.rng.randint(0, len(waiting))]
        self.asked, self.buffered = [], []
        self.done["crash"] += 1
        self.start()

    def feed(self, event: Event) -> None:
        self.bin, effects = machine.step(self.bin, event, self.now_ms)
        self.witness.saw(self.bin, event, effects, self.now_ms)
        for effect in effects:
            self.perform(effect)
        self.done[type(event).__name__] += 1
        self.done[type(self.bin.phase).__name__] += 1
        if view.view_of(self.bin, self.now_ms).credit:
            self.done["shown"] += 1

    def perform(self, effect: Effect) -> None:
        match effect:
            case Append():
                self.asked.append(effect)
            case AppendLater(body=body):
                self.buffered.append(body)
                self.done[type(body).__name__] += 1
            case TurnGate(to=to):
                self.heading, self.levels = to, replace(self.levels, gate_fault=None)
            case StopGate():
                self.heading = None
            case _:
                pass

    def commit(self) -> None:
        """The oldest request becomes durable, with everything that was to ride along."""
        effect = self.asked.pop(0)
        self.ledger += [*self.buffered, effect.body]
        self.buffered = []
        self.feed(Appended(ticket=effect.ticket, counts=Counts()))

    def open_deposits(self) -> list[str]:
        ended = {body.item_id for body in self.ledger if isinstance(body, TipConfirmed | TipFailed)}
        return [body.item_id for body in self.ledger if isinstance(body, Deposit) and body.item_id not in ended]

    def latched(self) -> bool:
        last = [body for body in self.ledger if isinstance(body, HazardRaised | HazardCleared)][-1:]
        return bool(last) and isinstance(last[0], HazardRaised)

    # --- what happens -----------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.now_ms += self.rng.choice((1, 10, 50, 50, 100, 100, 200, 400))
        if self.rng.random() < self.carelessness:
            self.mishap()
        elif self.rng.random() < 0.08:
            self.mend()
        elif self.rng.random() < 0.5:
            self.look()
        else:
            self.go_on()

    def look(self) -> None:
        """The sensors that speak say what is so."""
        if "thermometer" not in self.quiet:
            self.feed(TemperatureMeasured(sensor="bin", milli_celsius=self.temperature))
        if "scale" not in self.lost | self.quiet:
            self.feed(MassWeighed(mass_mg=TARE_MG + self.net_mg, stable=self.rng.random() < 0.95))
        self.turn()
        if "pins" not in self.lost:
            self.feed(LevelsRead(levels=self.levels))

    def turn(self) -> None:
        """The motor goes one position towards its switch; the shelf empties at either end."""
        if self.heading is None or self.levels.gate_fault:
            return
        if self.levels.gate == "between" or self.heading == self.levels.gate:
            arrived = replace(self.levels, gate=self.heading)  # type: ignore[arg-type]
            self.levels, self.heading = arrived, None
            if arrived.gate != "home":
                self.net_mg = 0
        else:
            self.levels = replace(self.levels, gate="between")

    def go_on(self) -> None:
        """What a good bin and a good resident would do next."""
        match self.bin.phase:
            case Idle():
                self.feed(card(self.rng.choice((ALICE, BOB))))
            case Accepting():
                self.fall(AA_EDGES, AA_MG)
            case Committing() if self.storage and self.asked:
                self.commit()
            case Recovering() | Closing() | Weighing() | Tipping() | Committing():
                self.look()
            case Stopped():
                self.crash()

    def fall(self, edges: tuple[object, ...], net_mg: int) -> None:
        self.items += 1
        self.net_mg += net_mg
        self.feed(passed(f"i{self.items}", edges))

    def mishap(self) -> None:
        rng = self.rng
        match rng.randrange(26):
            case 0 | 1:
                self.levels = replace(self.levels, flap_closed=not self.levels.flap_closed)
            case 2:
                self.levels = replace(self.levels, beam_a_blocked=not self.levels.beam_a_blocked)
            case 3:
                self.levels = replace(self.levels, beam_b_blocked=not self.levels.beam_b_blocked)
            case 4:
                self.levels = replace(self.levels, door_closed=not self.levels.door_closed)
            case 5:
                self.levels = replace(self.levels, gate_fault="stall")
            case 6:
                self.levels = replace(self.levels, door_closed=True, flap_closed=True, gate_fault=None)
            case 7:
                self.temperature = rng.choice((20_000, 20_000, 50_000, 61_000))
            case 8:
                self.quiet ^= {"thermometer"}
            case 9:
                self.quiet ^= {"scale"}
            case 10:
                self.lost |= {device := rng.choice(DEVICES)}
                self.feed(DeviceLost(device=device, detail="gone (ENODEV)"))
            case 11 | 12 if self.lost:
                device = rng.choice(sorted(self.lost))
                self.lost -= {device}
                self.feed(DeviceReturned(device=device))
            case 13:
                self.storage = False
                self.feed(StorageFailed(reason="disk full", damaged=rng.random() < 0.2))
            case 14 | 15:
                self.storage = True
                self.feed(StorageReturned())
            case 16:
                edges = rng.choice((UP_EDGES, STRING_EDGES, HAND_EDGES, PROBE_EDGES, COIN_EDGES, AA_EDGES))
                self.fall(edges, rng.choice((-self.net_mg, 0, 3_000, AA_MG, 250_000)))
            case 17:
                self.feed(card(rng.choice((ALICE, BOB))))
            case 18:
                self.feed(rng.choice((DonePressed(), LanguageChosen(language="en"), Ticked())))
            case 19:
                self.feed(InputsLost(source=rng.choice(("pins", "scale"))))
            case 20:
                self.items += 1
                self.feed(HazardClearRequested(ticket=f"t{self.items}", reason="looked inside"))
            case 21:
                self.feed(
                    rng.choice((EmptyingReported(ticket="e", note=""), TemperatureMissed(sensor="bin", reason="crc")))
                )
            case 22:
                self.now_ms += rng.choice((2_000, 4_000, 12_000, 40_000))
                self.feed(Ticked())
            case 23:
                self.feed(
                    rng.choice(
                        (
                            ServerTimeReceived(wall_ms=self.now_ms * 2),
                            SyncChanged(online=True, counts=None, trouble=None),
                            TariffReceived(tariff=TARIFF),
                        )
                    )
                )
            case 24:
                self.feed(StopRequested()) if rng.random() < 0.2 else self.crash()
            case 25 if self.storage and self.asked:
                self.commit()

    def mend(self) -> None:
        """Whatever is outside of the bin's own gate is well again."""
        self.storage, self.temperature, self.quiet = True, 20_000, set()
        for device in sorted(self.lost):
            self.feed(DeviceReturned(device=device))
        self.lost = set()
        self.feed(StorageReturned())
        fault = self.levels.gate_fault if self.heading is None else None
        self.levels = replace(GOOD, gate=self.levels.gate, gate_fault=fault)
        if self.bin.gate_blocked and self.rng.random() < 0.5:
            self.feed(LevelsRead(levels=replace(self.levels, door_closed=False)))
        if self.bin.latched and self.rng.random() < 0.5:
            self.items += 1
            self.feed(HazardClearRequested(ticket=f"t{self.items}", reason="looked inside"))

    # --- the world is good again ------------------------------------------------------------------------------------

    def heal(self) -> None:
        """All is mended, a technician opens the door, shuts it, clears the latch; then the bin must find home."""
        if isinstance(self.bin.phase, Stopped):
            self.crash()
        self.mend()
        self.levels = replace(self.levels, door_closed=False)
        self.look()
        self.levels = replace(self.levels, door_closed=True)
        for number in range(HEAL_STEPS_MAX):
            self.now_ms += 100
            while self.asked:
                self.commit()
            if self.bin.latched:
                self.feed(HazardClearRequested(ticket=f"heal{number}", reason="cool"))
            self.look()
            if isinstance(self.bin.phase, Idle) and not self.asked and not self.bin.latched:
                break
            if isinstance(self.bin.phase, Accepting):
                self.feed(DonePressed())
        else:
            raise AssertionError(f"stuck in {self.bin.phase}")
        self.ledger += self.buffered
        self.buffered = []
