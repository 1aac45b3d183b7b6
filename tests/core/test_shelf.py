"""The tip after the commit, and the shelf found again when it is unknown."""

from __future__ import annotations

import pytest

from kiosk.core.effects import LockFlap, StopGate, TurnGate, UnlockFlap
from kiosk.core.events import (
    DeviceLost,
    DeviceReturned,
    Event,
    HazardClearRequested,
    InputsLost,
    StorageFailed,
    StorageReturned,
    Ticked,
)
from kiosk.core.settings import Settings
from sync.records import (
    FaultCleared,
    FaultRaised,
    HazardCleared,
    HazardRaised,
    OrphanCleared,
    ServiceEntered,
    ServiceLeft,
    TipConfirmed,
    TipFailed,
)
from tests.core.playbook import (
    AA_MG,
    ALICE,
    BOB,
    COOL,
    HOT,
    PROBE_EDGES,
    STOPPED,
    TIPPING,
    UP_EDGES,
    Playbook,
    append,
    appended,
    at,
    card,
    later,
    levels,
    opened,
    passed,
    weighs,
)

STALLED = levels(gate="between", gate_fault="stall")
DOOR_OPEN = levels(door_closed=False)
OPEN = ("old",)


# --- tipping --------------------------------------------------------------------------------------------------------


def test_a_tip_is_confirmed_only_after_both_switches_in_order_and_the_mass_gone() -> None:
    book = at("Tipping turning").play(
        (100, levels(), ()),
        (100, weighs(0), ()),
        (100, weighs(0), ()),
        (100, levels(gate="store"), (TurnGate(to="home"),)),
        (100, levels(gate="between"), ()),
        (100, weighs(0), ()),
        (100, levels(), ()),
        (100, weighs(0), ()),
        (100, weighs(0), (later(TipConfirmed, item_id="i1"), UnlockFlap())),
    )
    assert book.witness.ended == ["i1"]


@pytest.mark.parametrize("phase", TIPPING)
def test_what_rises_through_the_beams_fails_the_tip(phase: str) -> None:
    book = at(phase).play((10, passed("i2", PROBE_EDGES)))
    assert book.phase() == phase
    book.play((10, passed("i2", UP_EDGES), (*STOPPED, later(TipFailed, reason="retracted"))))


def test_edges_lost_while_tipping_leave_it_to_review() -> None:
    effects = at("Tipping homing").feed(10, InputsLost(source="pins"))
    assert TipFailed(item_id="i1", reason="retracted") in [getattr(effect, "body", None) for effect in effects]


@pytest.mark.parametrize("phase", ["Tipping turning", "Tipping homing"])
def test_a_stalled_gate_is_a_jam_and_stays_blocked_until_the_door_was_opened_and_shut(phase: str) -> None:
    book = at(phase)
    book.same(STALLED, book.feed(500, STALLED), (*STOPPED, later(TipFailed, item_id="i1", reason="jam")))
    book.play(
        (10, levels(gate_fault="stall", gate="between"), (later(FaultRaised, device="gate"),), ("closed", "gate"))
    )
    assert not any(isinstance(effect, TurnGate) for effect in book.play((0, STALLED)).effects)
    book.play(
        (10, levels(door_closed=False, gate_fault="stall"), (later(ServiceEntered),)),
        # The driver forgets the fault with its next turn only; until then the levels still say it.
        (
            10,
            levels(gate_fault="stall"),
            (later(ServiceLeft), later(FaultCleared), LockFlap(), TurnGate(to="store")),
        ),
        (10, weighs(AA_MG), (), "recovering"),
    )
    book.cycle().shows(("farewell", None))
    assert book.witness.ended == ["i1"]


def test_a_gate_that_fails_over_an_empty_shelf_had_its_item_removed() -> None:
    book = at("Tipping turning").play((100, weighs(0)), (100, weighs(0)))
    book.same(STALLED, book.feed(100, STALLED), (*STOPPED, later(TipFailed, reason="removed")))


def test_a_gate_that_never_arrives_is_a_jam() -> None:
    book = at("Tipping turning")
    effects = book.wait(15_000)
    book.same(Ticked(), tuple(effects[:3]), (*STOPPED, later(TipFailed, reason="jam")))


def test_a_mass_still_there_after_the_tip_is_a_jam_for_the_technician() -> None:
    book = at("Tipping settling").play((100, weighs(AA_MG), ()), (100, weighs(AA_MG), ()))
    effects = book.wait(5_000)
    book.same(Ticked(), tuple(effects[:3]), (*STOPPED, later(TipFailed, reason="jam")))
    assert book.bin.gate_blocked is not None
    assert "still on the shelf" in book.bin.gate_blocked


def test_an_unstable_scale_after_the_tip_fails_it_and_heals_without_a_technician() -> None:
    book = at("Tipping settling")
    for _ in range(49):
        book.play((100, weighs(0, stable=False), ()))
    book.play((0, COOL), (100, weighs(0, stable=False), (*STOPPED, later(TipFailed, reason="jam"))))
    book.play((100, weighs(0)), (100, weighs(0), (LockFlap(), TurnGate(to="store"))))
    book.cycle().shows("farewell")


def test_a_scale_lost_while_tipping_cannot_confirm_and_heals_when_it_is_back() -> None:
    book = at("Tipping turning").play((10, DeviceLost(device="scale", detail="gone"), (later(FaultRaised),)))
    book.play((100, levels(gate="store"), (TurnGate(to="home"),)), (100, levels(), ()))
    book.play((10, levels(), (*STOPPED, later(TipFailed, reason="jam"))))
    assert book.bin.gate_blocked is None
    book.play((10, DeviceReturned(device="scale")), (10, weighs(0)), (100, weighs(0)))
    assert book.cycle().phase() == "Idle"


def test_pins_lost_while_tipping_stop_the_gate_until_they_are_back() -> None:
    book = at("Tipping turning").play((10, DeviceLost(device="pins", detail="gone"), (later(FaultRaised), StopGate())))
    book.play((10, DeviceReturned(device="pins"), (later(FaultCleared),)), (10, levels(), (TurnGate(to="store"),)))
    book.tipped()
    assert book.witness.ended == ["i1"]


def test_a_door_opened_while_the_gate_waits_fails_the_tip() -> None:
    book = at("Committing").play((10, levels(flap_closed=False)), (10, appended(), ()))
    opened_too = levels(flap_closed=False, door_closed=False)
    book.play((10, opened_too, (later(ServiceEntered), *STOPPED, later(TipFailed, reason="door"))))


def test_a_refused_thing_that_fails_to_leave_leaves_no_record_of_a_deposit() -> None:
    book = Playbook().begun().judged(net_mg=250_000).play((10, appended(), (TurnGate(to="return"),)))
    book.same(STALLED, book.feed(500, STALLED), STOPPED)
    assert book.witness.ended == []


def test_a_refusal_with_nothing_on_the_shelf_turns_nothing() -> None:
    book = Playbook().begun().judged(net_mg=100)
    book.play((10, appended(), (UnlockFlap(),), ("accepting", "too_light")))


def test_the_same_card_while_tipping_is_no_next_resident() -> None:
    book = at("Tipping turning").play((10, card(ALICE), ()))
    assert not book.view.next_resident_waits
    assert book.play((10, card(BOB), ())).view.next_resident_waits


@pytest.mark.parametrize("phase", TIPPING)
@pytest.mark.parametrize(("event", "reason"), [(HOT, "hazard"), (DOOR_OPEN, "door")])
def test_heat_and_door_stop_the_gate_at_once_and_fail_the_tip(phase: str, event: Event, reason: str) -> None:
    effects = at(phase).feed(10, event)
    Playbook().same(event, effects[1:], (*STOPPED, later(TipFailed, item_id="i1", reason=reason)))


def test_the_tare_follows_a_creeping_scale_but_no_battery() -> None:
    book = at("Idle").play((100, weighs(500)), (100, weighs(500)), (100, weighs(1_300)), (100, weighs(1_300)))
    assert book.bin.tare_mg == weighs(1_300).mass_mg
    book.play((100, weighs(4_300)), (100, weighs(4_300)))
    assert book.phase() == "Recovering waiting"


@pytest.mark.parametrize("phase", TIPPING)
@pytest.mark.parametrize("event", [HOT, DOOR_OPEN, passed("i2", UP_EDGES), InputsLost(source="pins"), STALLED])
def test_the_credit_of_a_failed_tip_stays_with_its_resident_and_the_next_taps_again(phase: str, event: Event) -> None:
    book = at(phase).play((10, card(BOB)), (10, event))
    if phase == "Tipping settling" and event == STALLED:
        return  # the gate has arrived already
    assert book.phase() == "Recovering waiting"
    assert book.view.credit is not None
    assert (book.view.credit.item_id, book.view.session_points) == ("i1", 10)
    assert not book.view.next_resident_waits


def test_whoever_was_interrupted_gets_a_goodbye_while_still_there() -> None:
    book = at("Tipping turning").play((10, passed("i2", UP_EDGES)), (10, levels()))
    book.cycle().shows(("farewell", None))
    assert (book.view.session_points, book.view.session_items) == (10, 1)
    book.wait(Settings().farewell_ms)
    assert book.shows(("idle", None)).view.credit is None


def test_nobody_gets_a_goodbye_long_after() -> None:
    book = at("Tipping turning").play((10, DOOR_OPEN))
    book.wait(Settings().session_idle_ms)
    assert book.shows(("closed", "door_open")).view.credit is None
    book.play((10, levels())).cycle().shows(("idle", None))


# --- recovering -----------------------------------------------------------------------------------------------------


def found_at_start(net_mg: int, **ledger: object) -> Playbook:
    """Power was gone; the scale has zeroed itself with whatever lay on it."""
    return Playbook().play(
        (0, opened(**ledger)),
        (0, COOL),
        (0, levels(), (), ("recovering", "clearing")),
        (0, weighs(0), ()),
        (100, weighs(0), (LockFlap(), TurnGate(to="store"))),
        (100, levels(gate="between"), ()),
        (100, levels(gate="store"), (TurnGate(to="home"),)),
        (100, levels(gate="between"), ()),
        (100, levels(), ()),
        (100, weighs(-net_mg), ()),
    )


def test_an_open_deposit_found_at_the_start_is_stored_and_confirmed_as_recovered() -> None:
    book = found_at_start(AA_MG, open_deposits=OPEN)
    book.play((100, weighs(-AA_MG), (later(TipConfirmed, item_id="old", recovered=True),), ("idle", None)))
    assert book.bin.tare_mg == 500_000 - AA_MG
    assert book.view.credit is None


def test_what_lay_there_without_a_deposit_is_an_orphan_and_the_screen_says_so() -> None:
    book = found_at_start(AA_MG)
    book.play((100, weighs(-AA_MG), (later(OrphanCleared, mass_mg=AA_MG),), ("idle", "orphan_cleared")))
    assert not book.bin.credits
    book.net_mg = -AA_MG
    book.wait(15_000)
    book.shows(("idle", None))


def test_an_empty_shelf_leaves_no_record() -> None:
    found_at_start(0).play((100, weighs(0), (), ("idle", None)))


def test_what_a_failed_tip_left_there_is_no_orphan() -> None:
    book = at("Tipping turning").play((10, passed("i2", UP_EDGES)), (10, levels(), (LockFlap(), TurnGate(to="store"))))
    book.cycle().same(Ticked(), book.effects, ())
    assert book.phase() == "Idle"


@pytest.mark.parametrize(
    ("in_the_way", "reason"),
    [
        (DOOR_OPEN, "door_open"),
        (levels(flap_closed=False), "close_flap"),
        (levels(beam_a_blocked=True), "beams"),
    ],
)
def test_the_shelf_stays_unknown_while_something_is_in_the_way(in_the_way: object, reason: str) -> None:
    book = Playbook().play(
        (0, opened()), (0, COOL), (0, weighs(0)), (100, weighs(0)), (0, in_the_way, (), ("closed", reason))
    )
    book.play((100, weighs(0), (), ("closed", reason)), (0, card(), ()))
    assert TurnGate(to="store") in book.feed(100, levels())


@pytest.mark.parametrize("phase", ["Recovering turning", "Recovering homing", "Recovering settling"])
@pytest.mark.parametrize("in_the_way", [DOOR_OPEN, levels(flap_closed=False), levels(beam_b_blocked=True)])
def test_a_cycle_stops_for_whatever_comes_in_the_way_and_begins_anew(phase: str, in_the_way: object) -> None:
    book = at(phase)
    assert book.feed(10, in_the_way)[-1] == StopGate()  # type: ignore[arg-type]
    book.play((10, weighs(0)), (10, weighs(0)))
    assert book.phase() == "Recovering waiting"
    assert book.feed(10, levels())[-1] == TurnGate(to="store")


def test_a_cycle_needs_storage_to_record_what_it_finds() -> None:
    book = at("Recovering turning").play((10, StorageFailed(reason="disk full"), (StopGate(),), ("closed", "storage")))
    book.play((10, levels(), ()), (10, StorageReturned(), (LockFlap(), TurnGate(to="store"))))


def test_a_shelf_emptied_by_a_cycle_that_was_interrupted_is_still_an_orphan() -> None:
    book = Playbook().play((0, opened()), (0, COOL), (0, levels()), (0, weighs(AA_MG)), (100, weighs(AA_MG)))
    book.play((100, levels(gate="store"), (TurnGate(to="home"),)), (10, levels(gate="between", flap_closed=False)))
    book.play((100, weighs(0)), (100, weighs(0)), (10, levels(gate="between"), (LockFlap(), TurnGate(to="store"))))
    book.cycle().same(Ticked(), book.effects, (later(OrphanCleared, mass_mg=AA_MG),))


def test_a_scale_that_was_away_has_another_zero() -> None:
    book = Playbook().play((0, opened()), (0, COOL), (0, levels()), (0, weighs(AA_MG)), (100, weighs(AA_MG)))
    book.play((10, DeviceLost(device="scale", detail="gone")), (10, DeviceReturned(device="scale")))
    book.play((100, weighs(0)), (100, weighs(0), (LockFlap(), TurnGate(to="store"))))
    book.cycle().same(Ticked(), book.effects, ())


@pytest.mark.parametrize("phase", ["Recovering turning", "Recovering homing"])
def test_a_gate_that_fails_in_the_cycle_waits_for_the_technician(phase: str) -> None:
    book = at(phase).play((500, STALLED, (StopGate(),), ("closed", "gate")))
    book.play((10, weighs(0)), (500, weighs(0), ()), (10, DOOR_OPEN))
    assert book.feed(10, levels())[-1] == TurnGate(to="store")


def test_a_gate_that_never_arrives_in_the_cycle_is_blocked() -> None:
    book = at("Recovering turning")
    assert StopGate() in book.wait(15_500)
    assert book.bin.gate_blocked is not None
    assert "did not arrive" in book.bin.gate_blocked


def test_a_hazard_from_before_keeps_the_shelf_as_it_is_until_it_is_cleared() -> None:
    book = Playbook().play((0, opened(hazards=("heat",), open_deposits=OPEN)), (0, COOL), (0, levels()))
    assert not any(isinstance(effect, TurnGate) for effect in book.wait(5_000))
    book.play((0, HazardClearRequested(ticket="t", reason="cold"), (append(HazardCleared),)), (0, appended("clear:t")))
    book.cycle().same(Ticked(), book.effects, (later(TipConfirmed, item_id="old", recovered=True),))


def test_heat_in_the_cycle_stops_the_gate() -> None:
    at("Recovering turning").play((10, HOT, (append(HazardRaised), StopGate())))


def test_a_gate_found_astray_is_brought_home_before_anybody_may_drop_something() -> None:
    book = at("Idle").play((10, levels(gate="between"), ()), (0, card(), (LockFlap(), TurnGate(to="store"))))
    assert book.cycle().phase() == "Idle"


def test_a_failing_gate_position_reads_as_on_the_way() -> None:
    book = at("Tipping settling").play((10, levels(gate_fault="stall"), ()), (100, weighs(0)), (100, weighs(0)))
    assert book.witness.ended == ["i1"]


def test_without_a_return_way_a_refused_thing_goes_to_the_store() -> None:
    book = Playbook(Settings(return_way=False)).begun().judged(net_mg=250_000).play((10, appended()))
    book.tipped("store").shows(("accepting", "not_a_battery"))
