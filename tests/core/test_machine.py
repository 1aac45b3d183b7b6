"""Playbooks of the main job: from the card to the goodbye, and whatever may come between."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from kiosk.core import machine
from kiosk.core.effects import Append, LockFlap, StopGate, TurnGate, UnlockFlap
from kiosk.core.events import (
    Appended,
    DeviceLost,
    DonePressed,
    InputsLost,
    LanguageChosen,
    ServerTimeReceived,
    StopRequested,
    StorageFailed,
    StorageReturned,
    TariffReceived,
    TemperatureMeasured,
    Ticked,
)
from kiosk.core.settings import Settings
from kiosk.core.states import Committing, Idle, Weighing
from sync.records import (
    CappedCredit,
    Deposit,
    FaultCleared,
    HazardRaised,
    Refusal,
    Tariff,
    TariffItem,
    TipConfirmed,
    TipFailed,
    decode_evidence,
)
from tests.core.playbook import (
    AA_EDGES,
    AA_MG,
    ALICE,
    BOB,
    COIN_EDGES,
    COOL,
    FULL,
    HAND_EDGES,
    HOT,
    PHASES,
    PROBE_EDGES,
    STOPPED,
    STRING_EDGES,
    TARIFF,
    TIPPING,
    UP_EDGES,
    Playbook,
    append,
    appended,
    at,
    card,
    later,
    later_by,
    levels,
    passed,
    weighs,
)

DOOR_OPEN = levels(door_closed=False)
IN_SESSION = ("Accepting", "Closing", "Weighing", "Committing", *TIPPING)
WITH_ITEM = ("Closing", "Weighing")


# --- the good deposit -----------------------------------------------------------------------------------------------


def test_a_battery_becomes_points_and_the_session_goes_on() -> None:
    book = Playbook().ready()
    book.play(
        (1_000, card(), (UnlockFlap(),), ("accepting", None)),
        (500, levels(flap_closed=False), ()),
        (60, passed("i1"), (LockFlap(),), "closing"),
        (100, levels(), ()),
        (149, levels(), (), "closing"),
        (1, levels(), (), "weighing"),
        (100, weighs(10_000, stable=False), ()),
        (200, weighs(AA_MG), ()),
        (
            100,
            weighs(AA_MG),
            (
                append(
                    Deposit,
                    item_id="i1",
                    holder=ALICE,
                    battery_class="AA",
                    count=1,
                    item_code="B-AA",
                    points=10,
                    unpaid=False,
                    tariff_version=7,
                    mass_mg=AA_MG,
                ),
            ),
            ("committing", None),
        ),
        (20, appended("i1"), (TurnGate(to="store"),), ("credited", None)),
        (300, levels(gate="between"), ()),
        (300, levels(gate="store"), (TurnGate(to="home"),)),
        (300, levels(gate="home"), ()),
        (100, weighs(0), ()),
        (100, weighs(0), (later(TipConfirmed, item_id="i1", recovered=False), UnlockFlap()), "accepting"),
        (1_000, DonePressed(), (LockFlap(),), "closing"),
        (0, levels(), ()),
        (150, levels(), (), ("farewell", None)),
    )
    assert book.view.session_points == 10
    book.wait(4_000)
    assert book.shows("idle").view.credit is None


def test_the_evidence_is_kept_with_its_hash() -> None:
    book = Playbook().begun().dropped().shut().weighed()
    [ask] = [effect for effect in book.effects if isinstance(effect, Append)]
    assert ask.evidence is not None
    kept = decode_evidence(ask.evidence)
    assert kept.mass_mg == AA_MG
    assert [sample.stable for sample in kept.masses] == [True, True]
    assert kept.passages[0].edges == AA_EDGES


def test_nothing_is_shown_before_its_own_record_is_durable() -> None:
    book = at("Committing")
    book.play((10, appended("another"), (), "committing"), (10, levels(), (), "committing"))
    assert book.view.credit is None
    assert book.view.session_points == 0
    book.play((10, appended("i1"), (TurnGate(to="store"),), "credited"))
    assert book.view.credit is not None
    assert book.view.credit.points == 10


def test_the_last_credit_leaves_the_screen_when_the_next_battery_falls() -> None:
    book = Playbook().begun().deposit("i1")
    assert book.view.credit is not None
    book.dropped("i2")
    assert book.view.credit is None
    assert book.view.session_points == 10


def test_a_second_answer_for_the_same_record_credits_nothing() -> None:
    book = at("Tipping turning").play((10, appended("i1"), ()))
    assert book.view.session_points == 10


def test_two_batteries_one_after_the_other_are_two_deposits() -> None:
    book = Playbook().begun().deposit("i1").deposit("i2")
    assert book.view.session_points == 20
    assert book.witness.ended == ["i1", "i2"]


def test_two_cells_at_once_are_one_deposit_of_two() -> None:
    edges = (*AA_EDGES, *later_by(AA_EDGES, 80_000))
    book = Playbook().begun().judged(net_mg=2 * AA_MG, edges=edges)
    book.same(Ticked(), book.effects, (append(Deposit, count=2, points=20),))


def test_a_second_fall_before_the_flap_is_shut_belongs_to_the_same_item_and_restarts_the_wait() -> None:
    book = at("Closing").play(
        (100, levels(), ()),
        (100, passed("i2"), (), ("closing", "one_at_a_time")),
        (100, levels(), (), "closing"),
        (50, levels(), (), "weighing"),
    )
    book.net_mg = 2 * AA_MG
    book.weighed().same(Ticked(), book.effects, (append(Deposit, item_id="i1", count=2),))


def test_a_fall_while_weighing_restarts_the_weighing() -> None:
    book = at("Weighing").play((300, weighs(AA_MG), ()), (10, passed("i2"), (), "closing"))
    book.net_mg = 2 * AA_MG
    book.shut().weighed().same(Ticked(), book.effects, (append(Deposit, item_id="i1", count=2, mass_mg=2 * AA_MG),))


def test_more_passages_than_are_kept_are_refused_lest_the_last_was_a_retraction() -> None:
    book = at("Closing").play(*((100, passed(f"more{n}"), ()) for n in range(FULL)))
    book.net_mg = FULL * AA_MG
    book.shut().weighed().same(Ticked(), book.effects, (append(Refusal, reason="unclear"),))


def test_a_credit_older_than_the_caps_window_is_forgotten() -> None:
    old = CappedCredit(ref=ALICE.ref, cap_ms=-Settings().cap_window_ms, points=50)
    book = Playbook().ready(credits=(old,)).play((0, card())).judged().committed()
    assert [credit.points for credit in book.bin.credits] == [10]


# --- cards ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", IN_SESSION)
def test_the_same_card_again_changes_nothing(phase: str) -> None:
    book = at(phase).play((10, card(), ()))
    assert book.phase() == phase
    assert not book.view.next_resident_waits


@pytest.mark.parametrize("phase", ["Closing", "Weighing", "Committing", *TIPPING])
def test_the_item_in_flight_belongs_to_the_first_card_then_the_session_changes(phase: str) -> None:
    book = at(phase).play((10, card(BOB), ()))
    assert book.view.next_resident_waits
    if phase == "Closing":
        book.shut()
    if phase in ("Closing", "Weighing"):
        book.weighed()
    if phase in ("Closing", "Weighing", "Committing"):
        book.committed()
    if not phase.startswith("Tipping") or phase == "Tipping turning":
        book.play((300, levels(gate="store")))
    if phase != "Tipping settling":
        book.play((300, levels()))
    book.play((100, weighs(0)), (100, weighs(0), (later(TipConfirmed), UnlockFlap()), "accepting"))
    assert book.witness.asked["i1"].holder == ALICE  # type: ignore[attr-defined]
    assert book.bin.phase.session.holder == BOB  # type: ignore[union-attr]
    assert book.view.session_points == 0
    assert book.view.credit is None


def test_a_second_card_locks_first_since_something_of_the_first_may_be_falling() -> None:
    book = at("Accepting").play(
        (10, card(BOB), (LockFlap(),), "closing"),
        (60, passed("i1"), (LockFlap(),), "closing"),
    )
    book.shut()
    book.net_mg = AA_MG
    book.weighed().same(Ticked(), book.effects, (append(Deposit, holder=ALICE),))


def test_a_second_card_with_nothing_in_flight_changes_the_session_once_shut() -> None:
    book = at("Accepting").play(
        (10, card(BOB), (LockFlap(),)), (10, levels(), ()), (150, levels(), (UnlockFlap(),), "accepting")
    )
    assert book.bin.phase.session.holder == BOB  # type: ignore[union-attr]


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase.startswith("Recovering")])
def test_a_card_before_the_shelf_is_found_begins_nothing(phase: str) -> None:
    assert UnlockFlap() not in at(phase).feed(10, card())


def test_nothing_opens_hours_later_for_whoever_was_there() -> None:
    book = at("Committing").play((10, card(BOB)), (10, StorageFailed(reason="disk full")))
    book.wait(3_600_000)
    book.play((10, StorageReturned(), ()), (10, appended(), (TurnGate(to="store"),), "credited")).tipped()
    book.shows("farewell")


def test_the_next_battery_is_not_awaited_from_somebody_long_gone() -> None:
    book = at("Committing")
    book.wait(31_000)
    book.committed().tipped().same(Ticked(), book.effects, (later(TipConfirmed),))
    book.shows("farewell")


# --- the end of a session -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [DonePressed(), InputsLost(source="pins")])
def test_the_flap_locks_before_goodbye(event: DonePressed | InputsLost) -> None:
    book = at("Accepting")
    effects = book.feed(10, event)
    assert effects[-1] == LockFlap()
    book.shows("closing").play((10, levels()), (150, levels(), (), "farewell"))


def test_a_resident_who_drops_nothing_is_parted_from_after_a_while() -> None:
    book = at("Accepting")
    assert LockFlap() not in book.wait(29_999)
    book.play((1, Ticked(), (LockFlap(),), "closing"))


def test_what_falls_while_the_session_ends_still_counts() -> None:
    book = at("Accepting").play((10, DonePressed(), (LockFlap(),)), (10, passed("i1"), (LockFlap(),), "closing"))
    book.net_mg = AA_MG
    book.shut().weighed().same(Ticked(), book.effects, (append(Deposit, holder=ALICE),))


def test_a_probing_finger_is_no_item() -> None:
    at("Accepting").play((10, passed("i1", PROBE_EDGES), (), "accepting"))
    at("Closing").play((10, levels(), ()), (100, passed("i2", PROBE_EDGES), ()), (50, levels(), (), "weighing"))
    at("Weighing").play((10, passed("i2", PROBE_EDGES), (), "weighing"))


def test_something_on_the_shelf_that_no_beam_saw_ends_the_session_and_is_cleared() -> None:
    book = at("Accepting").play((300, weighs(3_000), ()), (100, weighs(3_000), (LockFlap(),)))
    book.play((10, levels()), (150, levels()), (10, levels()))
    assert book.phase().startswith("Recovering")


def test_a_mass_in_idle_is_cleared_and_the_drift_is_followed() -> None:
    book = at("Idle").play((500, weighs(800)), (500, weighs(800)), (500, weighs(1_600)), (500, weighs(1_600)))
    assert book.phase() == "Idle"
    book.play((500, weighs(AA_MG)), (500, weighs(AA_MG)))
    assert book.phase() == "Recovering waiting"


# --- verdicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "net_mg", "reason"),
    [
        (STRING_EDGES, AA_MG, "retracted"),
        (HAND_EDGES, AA_MG, "hand"),
        (AA_EDGES, 250_000, "not_a_battery"),
        (AA_EDGES, 69_000, "unpriced"),
        (COIN_EDGES, 3_000, "unpriced"),
        (AA_EDGES, 950, "too_light"),
    ],
    ids=["string", "hand", "stone", "no price", "coin without a price", "feather"],
)
def test_what_is_refused_is_given_back_uncredited(edges: object, net_mg: int, reason: str) -> None:
    book = Playbook().begun().judged(net_mg=net_mg, edges=edges)  # type: ignore[arg-type]
    book.same(Ticked(), book.effects, (append(Refusal, reason=reason, mass_mg=net_mg),))
    book.play((20, appended(), (TurnGate(to="return"),), ("refused", reason))).tipped("return")
    book.shows(("accepting", reason))
    assert book.view.credit is None
    assert not book.bin.credits


def test_a_coin_cell_with_a_price_is_paid() -> None:
    book = at("Idle").play(
        (0, TariffReceived(tariff=Tariff(version=8, items={"coin": TariffItem(item_code="B-C", points=1)})))
    )
    book.play((0, card())).judged(net_mg=3_000, edges=COIN_EDGES)
    book.same(Ticked(), book.effects, (append(Deposit, battery_class="coin", points=1),))


def test_a_battery_on_a_string_that_comes_out_in_a_later_passage_is_refused() -> None:
    book = at("Closing").play((200, passed("i2", UP_EDGES), ()))
    book.net_mg = 0
    book.shut().weighed().same(Ticked(), book.effects, (append(Refusal, item_id="i1", reason="retracted"),))
    book.play((20, appended(), (UnlockFlap(),), ("accepting", "retracted")))


def test_a_refused_thing_without_a_return_way_is_kept() -> None:
    book = Playbook(Settings(return_way=False)).begun().judged(net_mg=250_000)
    book.play((20, appended(), (TurnGate(to="store"),), "refused"))


def test_a_scale_that_never_comes_to_rest_leaves_the_item_unweighed() -> None:
    book = at("Weighing")
    for _ in range(79):
        book.play((0, COOL, ()), (100, weighs(AA_MG, stable=False), ()))
    book.play((100, weighs(AA_MG), (append(Refusal, reason="unweighed", mass_mg=None),)))


def test_stable_readings_that_disagree_are_no_mass() -> None:
    at("Weighing").play(
        (300, weighs(AA_MG), ()), (100, weighs(AA_MG + 201), ()), (100, weighs(AA_MG + 201), (append(Deposit),))
    )


@pytest.mark.parametrize("phase", WITH_ITEM)
def test_a_scale_lost_before_the_verdict_leaves_the_item_unweighed(phase: str) -> None:
    book = at(phase)
    lost = book.feed(10, DeviceLost(device="scale", detail="gone"))
    if phase == "Closing":
        book.play((100, levels(), ()), (150, levels(), ()))
        lost = book.feed(10, Ticked())
    book.same(Ticked(), lost[-1:], (append(Refusal, reason="unweighed"),))
    book.play((20, appended(), (TurnGate(to="return"),), "refused"))


def test_a_scale_that_falls_silent_while_weighing_leaves_the_item_unweighed() -> None:
    book = at("Weighing")
    asked = [effect for effect in book.wait(3_500, without=("scale",)) if isinstance(effect, Append)]
    book.same(Ticked(), tuple(asked), (append(Refusal, reason="unweighed"),))


def test_the_tariff_at_the_verdict_is_the_one_that_pays() -> None:
    dearer = Tariff(version=8, items={"AA": TariffItem(item_code="B-AA", points=11)})
    book = at("Weighing").play((10, TariffReceived(tariff=dearer), ())).weighed()
    book.same(Ticked(), book.effects, (append(Deposit, points=11, tariff_version=8),))
    book.play((0, TariffReceived(tariff=TARIFF), ()), (10, appended(), (TurnGate(to="store"),)))
    assert book.view.session_points == 11


def test_without_a_tariff_no_session_begins() -> None:
    book = Playbook().ready(tariff=None).shows(("closed", "no_tariff"))
    book.play((10, card(), ()), (10, TariffReceived(tariff=TARIFF), (), "idle"), (10, card(), (UnlockFlap(),)))


# --- the daily cap --------------------------------------------------------------------------------------------------

USED = (CappedCredit(ref=ALICE.ref, cap_ms=0, points=95),)


def test_over_the_cap_a_battery_is_taken_unpaid() -> None:
    book = Playbook().ready(credits=USED).play((0, card()))
    assert book.view.remaining_points == 5
    book.judged().same(Ticked(), book.effects, (append(Deposit, points=0, unpaid=True),))
    book.committed()
    assert book.view.credit is not None
    assert book.view.credit.unpaid
    assert book.view.remaining_points == 5


def test_over_the_cap_a_battery_is_given_back_where_the_operator_wants_it() -> None:
    book = Playbook(Settings(over_cap="refuse")).ready(credits=USED).play((0, card())).judged()
    book.same(Ticked(), book.effects, (append(Refusal, reason="over_cap"),))


def test_anothers_points_do_not_fill_the_cap() -> None:
    book = Playbook().ready(credits=USED).play((0, card(BOB)))
    assert book.view.remaining_points == 100


def test_the_points_of_this_session_fill_the_cap() -> None:
    book = Playbook(Settings(cap_points=15)).begun().deposit("i1").judged("i2")
    book.same(Ticked(), book.effects, (append(Deposit, points=0, unpaid=True),))


def test_a_server_a_day_ahead_opens_a_new_window() -> None:
    day_ms = Settings().cap_window_ms
    book = Playbook().ready(credits=USED).play((0, ServerTimeReceived(wall_ms=day_ms + 1)), (0, card()))
    assert book.view.remaining_points == 100


def test_a_restart_and_a_server_that_is_behind_open_none() -> None:
    credits = (msgspec.structs.replace(USED[0], cap_ms=1_000_000),)
    book = Playbook(boot_ms=77).ready(credits=credits, cap_ms=1_000_500)
    book.play((0, ServerTimeReceived(wall_ms=5)), (0, card()))
    assert book.view.remaining_points == 5


# --- flap and door --------------------------------------------------------------------------------------------------


def test_a_flap_that_stays_open_keeps_the_item_waiting_and_is_a_fault_until_shut() -> None:
    book = at("Closing")
    book.wait(5_000)
    book.shows(("closing", "close_flap"))
    book.wait(26_000)
    assert "flap" in book.bin.recorded_faults
    book.play((10, levels(), (later(FaultCleared, device="flap"),))).shut()
    assert "flap" not in book.bin.recorded_faults
    book.weighed().committed().shows("credited")


def test_a_flap_forced_open_while_weighing_starts_the_weighing_anew() -> None:
    book = at("Weighing").play((300, weighs(AA_MG), ()), (10, levels(flap_closed=False), (), "closing"))
    book.play((100, weighs(AA_MG), ())).shut().weighed()
    assert isinstance(book.bin.phase, Committing)
    assert len(book.bin.phase.evidence.masses) == 2


def test_a_flap_forced_open_while_committing_keeps_the_gate_still_until_shut() -> None:
    book = at("Committing").play(
        (10, levels(flap_closed=False), ()),
        (10, appended(), (), ("credited", "close_flap")),
        (10, levels(), (TurnGate(to="store"),), ("credited", None)),
    )
    book.tipped()
    assert book.witness.ended == ["i1"]


@pytest.mark.parametrize("phase", TIPPING)
def test_a_flap_forced_open_while_tipping_stops_the_gate_and_the_tip_begins_anew(phase: str) -> None:
    book = at(phase).play((10, levels(flap_closed=False), (StopGate(),)), (10, levels(), (TurnGate(to="store"),)))
    book.tipped().same(Ticked(), book.effects, (later(TipConfirmed), UnlockFlap()))


@pytest.mark.parametrize("phase", TIPPING)
def test_a_finger_in_a_beam_stops_the_gate(phase: str) -> None:
    at(phase).play((10, levels(beam_b_blocked=True), (StopGate(),)))


def test_an_item_that_rises_while_committing_is_retracted_and_the_credit_stands() -> None:
    book = at("Committing").play((10, passed("i2", UP_EDGES), ()))
    book.play((10, appended(), (*STOPPED, later(TipFailed, item_id="i1", reason="retracted"))))
    assert [credit.points for credit in book.bin.credits] == [10]


def test_lost_edges_while_committing_leave_the_tip_to_the_servers_review() -> None:
    book = at("Committing")
    book.feed(10, InputsLost(source="pins"))
    book.play((10, appended(), (*STOPPED, later(TipFailed, reason="retracted"))))


def test_lost_readings_of_another_source_do_not() -> None:
    book = at("Committing")
    book.feed(10, InputsLost(source="scale"))
    book.play((10, appended(), (TurnGate(to="store"),)))


def test_a_mass_that_is_gone_before_the_tip_was_removed() -> None:
    book = at("Committing").play((100, weighs(0)), (100, weighs(0)))
    book.play((10, appended(), (*STOPPED, later(TipFailed, reason="removed"))))


@pytest.mark.parametrize("phase", WITH_ITEM)
def test_a_door_opened_before_the_verdict_refuses_the_item(phase: str) -> None:
    book = at(phase)
    book.same(DOOR_OPEN, book.feed(10, DOOR_OPEN)[-2:], (LockFlap(), append(Refusal, item_id="i1", reason="door")))
    book.shows(("closed", "door_open")).play((10, appended(), ()))
    assert book.view.credit is None


def test_a_door_opened_while_committing_fails_the_tip_even_when_it_is_shut_again() -> None:
    book = at("Committing").play((10, DOOR_OPEN), (10, levels()))
    book.play((10, appended(), (*STOPPED, later(TipFailed, reason="door"))))


@pytest.mark.parametrize("phase", TIPPING)
def test_a_door_opened_while_tipping_stops_the_gate_and_fails_the_tip(phase: str) -> None:
    book = at(phase)
    book.same(DOOR_OPEN, book.feed(10, DOOR_OPEN)[-3:], (*STOPPED, later(TipFailed, reason="door")))


def test_a_door_opened_in_a_session_locks_the_flap() -> None:
    book = at("Accepting")
    assert book.feed(10, DOOR_OPEN)[-1] == LockFlap()


def test_no_session_begins_while_the_door_is_open_or_something_is_in_the_way() -> None:
    for now in (DOOR_OPEN, levels(flap_closed=False), levels(beam_a_blocked=True)):
        at("Idle").play((10, now), (10, card(), ()))


# --- heat -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_heat_latches_at_once_stops_what_moves_and_nothing_opens(phase: str) -> None:
    book = at(phase)
    moving = phase in ("Recovering turning", "Recovering homing", *TIPPING)
    effects = book.feed(10, HOT)
    book.same(HOT, effects[:1], (append(HazardRaised, hazard="heat"),))
    assert not moving or StopGate() in effects
    assert phase != "Accepting" or LockFlap() in effects
    book.shows(("hazard", "heat"))
    book.feed(10, COOL)
    for event in (card(), DonePressed(), appended("hazard:heat"), levels(flap_closed=False), levels(), card(BOB)):
        effects = book.feed(200, event)
        assert not any(isinstance(effect, UnlockFlap | TurnGate) for effect in effects)
    book.shows("hazard")


@pytest.mark.parametrize("phase", WITH_ITEM)
def test_heat_before_the_verdict_refuses_the_item(phase: str) -> None:
    book = at(phase)
    book.same(HOT, book.feed(10, HOT)[-2:], (LockFlap(), append(Refusal, reason="hazard")))


def test_heat_while_committing_fails_the_tip_and_the_credit_stands() -> None:
    book = at("Committing").play((10, HOT, (append(HazardRaised),)))
    book.play((10, appended(), (*STOPPED, later(TipFailed, item_id="i1", reason="hazard"))))
    assert book.bin.credits


@pytest.mark.parametrize("phase", TIPPING)
def test_heat_while_tipping_fails_the_tip(phase: str) -> None:
    book = at(phase).play((10, HOT, (append(HazardRaised), *STOPPED, later(TipFailed, reason="hazard"))))
    book.feed(10, COOL)
    assert not any(isinstance(effect, TurnGate) for effect in book.wait(60_000))


# --- the thermometer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_a_silent_thermometer_closes_and_heals_by_itself(phase: str) -> None:
    book = at(phase)
    book.wait(10_500, without=("thermometer",))
    assert not book.witness.unlocked
    silent = book.wait(5_000, without=("thermometer",))
    assert not book.bin.latched
    assert not any(isinstance(effect, TurnGate) for effect in silent)
    assert "temperature bin" in book.bin.recorded_faults
    book.play((10, COOL))
    book.wait(1_000)
    assert "temperature bin" not in book.bin.recorded_faults


def test_an_item_is_still_weighed_and_credited_but_not_tipped_without_a_thermometer() -> None:
    book = at("Weighing")
    book.wait(1_000, without=("thermometer",))
    book.wait(15_000, without=("thermometer",))
    assert isinstance(book.bin.phase, Committing)
    book.play((10, appended(), (), "credited"), (10, COOL, (later(FaultCleared), TurnGate(to="store"))))


def test_an_absurd_temperature_is_silence() -> None:
    at("Accepting").play((10, TemperatureMeasured(sensor="bin", milli_celsius=200_000), ()))


# --- pins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", WITH_ITEM)
def test_lost_pins_make_an_item_unclear(phase: str) -> None:
    book = at(phase)
    effects = book.feed(10, DeviceLost(device="pins", detail="gone"))
    book.same(Ticked(), effects[-2:], (LockFlap(), append(Refusal, reason="unclear")))


@pytest.mark.parametrize("phase", WITH_ITEM)
def test_lost_edges_make_an_item_unclear_and_no_other_loss_does(phase: str) -> None:
    book = at(phase)
    book.feed(5, InputsLost(source="screen"))
    assert type(book.bin.phase).__name__ == phase, "a lost touch says nothing of the item"
    effects = book.feed(10, InputsLost(source="pins"))
    book.same(Ticked(), effects[-2:], (LockFlap(), append(Refusal, reason="unclear")))


# --- storage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_begins_while_nothing_can_be_recorded_and_all_is_back_by_itself(phase: str) -> None:
    book = at(phase).play((10, StorageFailed(reason="disk full: free some space")))
    assert not book.witness.unlocked
    for event in (card(), levels(), weighs(book.net_mg), card(BOB)):
        assert UnlockFlap() not in book.feed(100, event)
    book.play((100, StorageReturned()))
    assert book.bin.storage_trouble is None
    if "i1" in book.witness.asked:
        assert (book.view.credit is not None) == ("i1" in book.witness.durable)


def test_an_item_that_waits_for_storage_is_shown_only_when_it_is_recorded() -> None:
    book = at("Committing").play((10, StorageFailed(reason="disk full"), (), ("closed", "storage")))
    book.wait(60_000)
    assert book.view.credit is None
    book.play((10, StorageReturned(), (), "committing"), (10, appended(), (TurnGate(to="store"),), "credited"))


def test_a_damaged_ledger_says_so() -> None:
    at("Idle").play((10, StorageFailed(reason="chain broken at 17", damaged=True), (), ("closed", "ledger_damaged")))


# --- language and the end -------------------------------------------------------------------------------------------


def test_a_chosen_language_lasts_until_the_goodbye_is_over() -> None:
    book = at("Accepting").play((10, LanguageChosen(language="en"), ()))
    assert book.view.language == "en"
    book.play((10, DonePressed()), (10, levels()), (150, levels(), (), "farewell"))
    assert book.view.language == "en"
    book.wait(4_000)
    assert book.shows("idle").view.language == "zh"


@pytest.mark.parametrize("phase", PHASES)
def test_stopping_locks_and_stops_in_every_phase_and_nothing_follows(phase: str) -> None:
    book = at(phase).play((10, StopRequested(), STOPPED, "closed"))
    for event in (
        card(),
        levels(),
        passed("i9"),
        weighs(0),
        Appended(ticket="i1", counts=book.bin.counts),
        DonePressed(),
    ):
        book.play((100, event, ()))
    assert book.view.credit is None


def test_a_goodbye_is_followed_by_the_next_card() -> None:
    book = at("Accepting").play((10, DonePressed()), (10, levels()), (150, levels(), (), "farewell"))
    assert isinstance(book.bin.phase, Idle)
    book.play((10, levels(), ()), (10, card(BOB), (UnlockFlap(),), "accepting"))


def test_early_readings_are_no_mass() -> None:
    book = at("Weighing").play((100, weighs(AA_MG), ()), (100, weighs(AA_MG), ()))
    assert isinstance(book.bin.phase, Weighing)
    assert book.bin.phase.item.masses == ()


def test_a_phase_that_nobody_wrote_stops_the_daemon() -> None:
    book = at("Idle")
    with pytest.raises(AssertionError):
        machine.step(replace(book.bin, phase=None), Ticked(), book.now_ms)  # type: ignore[arg-type]
