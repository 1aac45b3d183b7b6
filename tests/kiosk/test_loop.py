"""The loop's own rules, on the real daemon's turn: older things first, and done before shown."""

from __future__ import annotations

import time
from dataclasses import replace

from drivers.beams import DropBeams
from drivers.readings import Edge
from kiosk.core.effects import Effect, LockFlap, UnlockFlap
from kiosk.core.events import CardPresented, DonePressed, Event, ItemPassed, LevelsRead, MassWeighed
from kiosk.core.interlock import Temperature
from kiosk.core.settings import Settings
from kiosk.core.states import Accepting, Bin, Closing, Idle, Session, new_bin
from kiosk.core.view import View
from kiosk.daemon import Daemon
from kiosk.inbox import Inbox
from sync.records import Passage
from tests.core.playbook import AA_EDGES, ALICE, BOB, GOOD, TARE_MG, TARIFF


class Beams:
    """Stands where the devices do: real beams, all levels good."""

    moving = False

    def __init__(self) -> None:
        self._beams = DropBeams()

    def edge(self, edge: Edge) -> None:
        self._beams.receive(edge)

    def look(self, now_ms: int) -> list[Event]:
        events: list[Event] = []
        while (seen := self._beams.poll(time.monotonic_ns())) is not None:
            passage = Passage(started_ms=seen.started_ns // 1_000_000, edges=seen.edges)  # type: ignore[arg-type]
            events.append(ItemPassed(item_id="i1", passage=passage))
        return [*events, LevelsRead(levels=GOOD)]


class Clock:
    def mono_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class Diary:
    """Writes down what was performed and what was shown, in one order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def perform(self, effect: Effect) -> None:
        self.told.append(type(effect).__name__)

    def publish(self, view: View) -> None:
        self.told.append(view.screen)


def loop_with(bin: Bin) -> tuple[Daemon, Diary]:
    daemon, diary = Daemon.__new__(Daemon), Diary()
    now_ms = Clock().mono_ms()
    parts = {
        "inbox": Inbox(), "clock": Clock(), "devices": Beams(), "performer": diary, "screen": diary, "view": None,
        "next_look_ms": now_ms, "next_chores_ms": 10**15, "bin": bin,
    }  # fmt: skip
    for name, part in parts.items():
        setattr(daemon, f"_{name}", part)
    return daemon, diary


def ready(now_ms: int) -> Bin:
    return replace(
        new_bin(Settings(), now_ms),
        levels=GOOD,
        ledger_open=True,
        tariff=TARIFF,
        tare_mg=TARE_MG,
        mass=MassWeighed(mass_mg=TARE_MG, stable=True),
        mass_ms=now_ms,
        equal_stable=3,
        temperatures={"bin": Temperature(milli_celsius=20_000, at_ms=now_ms)},
        phase=Idle(),
    )


def test_a_battery_that_falls_while_the_loop_is_held_up_belongs_to_the_resident_before() -> None:
    """Levels are read now, edges are older: believed the other way round, Bob would get Alice's battery."""
    now_ms = Clock().mono_ms() - 400
    session = Session(holder=ALICE, next_holder=BOB, active_ms=now_ms)
    closing = Closing(session=session, item=None, since_ms=now_ms - 50, quiet_since_ms=now_ms)
    daemon, diary = loop_with(replace(ready(now_ms), phase=closing))
    daemon._next_look_ms = now_ms
    daemon._inbox.put("scale", MassWeighed(mass_mg=TARE_MG, stable=True))
    for line, active, at_us in AA_EDGES:
        t_ns = (now_ms + 50) * 1_000_000 + at_us * 1_000
        daemon._inbox.put("pins", Edge(line=line, active=active, t_ns=t_ns))
    daemon._turn()
    phase = daemon._bin.phase
    assert isinstance(phase, Closing)
    assert phase.item is not None
    assert phase.session.holder == ALICE
    assert "UnlockFlap" not in diary.told


def test_the_flap_is_locked_before_the_screen_says_goodbye_and_unlocked_before_it_invites() -> None:
    now_ms = Clock().mono_ms()
    daemon, diary = loop_with(ready(now_ms))
    daemon._handle(CardPresented(holder=ALICE), now_ms)
    assert diary.told == [UnlockFlap.__name__, "accepting"]
    assert isinstance(daemon._bin.phase, Accepting)
    daemon._handle(DonePressed(), now_ms)
    assert diary.told[2:] == [LockFlap.__name__, "closing"]


def test_a_flood_of_events_does_not_keep_the_levels_from_being_read() -> None:
    now_ms = Clock().mono_ms()
    daemon, _ = loop_with(ready(now_ms))
    looks: list[int] = []
    daemon._look = looks.append  # type: ignore[assignment, method-assign]

    class Endless:
        def get(self, timeout_s: float) -> Event:
            return MassWeighed(mass_mg=TARE_MG, stable=True)

    daemon._inbox = Endless()  # type: ignore[assignment]
    daemon._turn()
    assert len(looks) == 1
