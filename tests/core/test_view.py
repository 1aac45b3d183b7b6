"""Each scene of the residents' screen, and the code of its sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from kiosk.core import machine, senses
from kiosk.core.events import (
    DeviceLost,
    DonePressed,
    HazardClearRequested,
    InputsLost,
    LanguageChosen,
    StopRequested,
    StorageFailed,
    StorageReturned,
    SyncChanged,
)
from kiosk.core.settings import Settings
from kiosk.core.view import scene, view_of
from sync.records import CappedCredit, FaultCleared
from tests.core.playbook import (
    AA_EDGES,
    AA_MG,
    ALICE,
    BOB,
    COOL,
    HAND_EDGES,
    HOT,
    PHASES,
    STOPPED,
    STRING_EDGES,
    UP_EDGES,
    Playbook,
    appended,
    at,
    card,
    later,
    later_by,
    levels,
    opened,
    passed,
    weighs,
)

SCENES = {
    "Recovering waiting": ("recovering", "clearing"),
    "Recovering turning": ("recovering", "clearing"),
    "Recovering homing": ("recovering", "clearing"),
    "Recovering settling": ("recovering", "clearing"),
    "Idle": ("idle", None),
    "Accepting": ("accepting", None),
    "Closing": ("closing", None),
    "Weighing": ("weighing", None),
    "Committing": ("committing", None),
    "Tipping turning": ("credited", None),
    "Tipping homing": ("credited", None),
    "Tipping settling": ("credited", None),
}


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_has_its_scene(phase: str) -> None:
    at(phase).shows(SCENES[phase])


@pytest.mark.parametrize("phase", PHASES)
def test_danger_goes_before_everything(phase: str) -> None:
    at(phase).play((10, HOT)).shows(("hazard", "heat"))


@pytest.mark.parametrize("phase", PHASES)
def test_a_stopped_bin_shows_neither_person_nor_credit(phase: str) -> None:
    book = at(phase).play((10, StopRequested(), STOPPED, ("closed", "starting")))
    assert book.view.credit is None
    assert book.view.remaining_points is None


def test_only_accepting_counts_down() -> None:
    for phase in PHASES:
        assert (at(phase).view.deadline_ms is not None) == (phase == "Accepting")


def test_a_start_says_that_it_starts_then_why_it_stays_closed() -> None:
    Playbook().shows(("starting", "starting")).play(
        (0, levels()),
        (0, COOL, (), ("starting", "starting")),
        (0, opened(), (), ("recovering", "clearing")),
        (0, levels(flap_closed=False), (), ("closed", "close_flap")),
        (0, levels(beam_a_blocked=True), (), ("closed", "beams")),
        (0, StorageFailed(reason="disk full"), (), ("closed", "storage")),
    )


def test_an_idle_bin_says_what_is_in_the_way() -> None:
    at("Idle").play(
        (0, levels(flap_closed=False), (), ("closed", "close_flap")),
        (0, levels(beam_b_blocked=True), (), ("closed", "beams")),
        (0, StorageFailed(reason="disk full"), (), ("closed", "storage")),
        (0, StorageReturned()),
        (0, levels(), (), ("idle", None)),
        (0, DeviceLost(device="card_reader", detail="gone")),
    ).shows(("idle", "card_reader"))


def test_a_session_needs_no_reader_any_more() -> None:
    at("Accepting").play((0, DeviceLost(device="card_reader", detail="gone"))).shows(("accepting", None))


def test_a_refusal_is_told_until_the_session_has_ended() -> None:
    book = Playbook().begun().judged(edges=STRING_EDGES).play((0, appended())).shows(("refused", "retracted"))
    book.tipped("return").shows(("accepting", "retracted"))
    book.play((0, DonePressed()), (0, levels()), (150, levels())).shows(("farewell", "retracted"))


def test_two_passages_ask_for_one_at_a_time_and_a_late_flap_to_be_shut() -> None:
    book = at("Closing").play((0, passed("i2"), (), ("closing", "one_at_a_time")))
    book.wait(5_000)
    book.shows(("closing", "close_flap"))


@pytest.mark.parametrize("edges", [UP_EDGES, HAND_EDGES])
def test_a_battery_on_a_string_is_not_asked_to_come_one_at_a_time(edges: tuple[Any, ...]) -> None:
    book = at("Closing").play((0, passed("i2", edges), (), ("closing", None)))
    book.play((0, passed("i3"), (), ("closing", None)))


def test_a_flap_that_stays_open_is_a_matter_for_the_staff_whatever_lies_on_the_shelf() -> None:
    book = at("Closing")
    book.wait(29_000)
    book.shows(("closing", "close_flap")).wait(2_000)
    book.shows(("closing", "flap")).play((0, levels(), (later(FaultCleared),), ("closing", None)))
    book = at("Tipping turning").play((0, levels(flap_closed=False)))
    book.wait(31_000)
    book.shows(("credited", "flap"))


def test_a_beam_that_stays_blocked_is_not_the_flap() -> None:
    book = at("Closing").play((0, levels(beam_b_blocked=True)))
    book.wait(5_000)
    book.shows(("closing", "beams"))


def test_a_session_that_ends_without_an_item_just_closes() -> None:
    at("Accepting").play((0, DonePressed())).shows(("closing", None))


def test_a_record_that_cannot_be_written_says_so_and_shows_no_credit() -> None:
    book = at("Committing").play((0, StorageFailed(reason="disk full"), (), ("closed", "storage")))
    assert book.view.credit is None


def test_a_push_at_the_flap_while_tipping_asks_to_let_go() -> None:
    at("Tipping turning").play((0, levels(flap_closed=False))).shows(("credited", "close_flap"))


def test_the_view_carries_the_session_and_the_server() -> None:
    book = at("Tipping turning").play((0, card(BOB), ()), (0, LanguageChosen(language="en"), ()))
    book.play((0, SyncChanged(online=True, counts=None, trouble=None), ()))
    view = book.view
    assert (view.session_points, view.session_items, view.remaining_points) == (10, 1, 90)
    assert (view.next_resident_waits, view.language, view.online, view.on_its_way) == (True, "en", True, 1)
    assert view.credit is not None
    assert (view.credit.item_id, view.credit.battery_class, view.credit.points) == ("i1", "AA", 10)


def test_what_is_left_of_the_cap_is_never_below_nothing() -> None:
    book = at("Accepting")
    book.bin = replace(book.bin, settings=replace(book.bin.settings, cap_points=0))
    assert book.view.remaining_points == 0
    assert book.bin.phase.session.holder == ALICE  # type: ignore[union-attr]


def test_the_idle_notice_of_an_orphan_passes() -> None:
    book = at("Idle")
    book.bin = replace(book.bin, notice="orphan_cleared", notice_until_ms=book.now_ms + 100)
    book.shows(("idle", "orphan_cleared")).play((100, weighs(0), (), ("idle", None)))


def test_a_phase_that_nobody_wrote_has_no_scene() -> None:
    book = at("Idle")
    nobody = replace(book.bin, phase=None)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        view_of(nobody, book.now_ms)
    with pytest.raises(AssertionError):
        scene(nobody, book.now_ms)


# --- every code that there is can be seen ---------------------------------------------------------------------------


def closed_by(code: str) -> Playbook:
    book = at("Idle")
    match code:
        case "starting":
            return book.play((10, StopRequested()))
        case "door_open":
            return book.play((10, levels(door_closed=False)))
        case "pins":
            return book.play((10, DeviceLost(device="pins", detail="gone")))
        case "scale":
            return book.play((10, DeviceLost(device="scale", detail="gone")))
        case "gate":
            return at("Recovering turning").play((10, levels(gate="between", gate_fault="stall")))
        case "temperature_sensor":
            book.wait(11_000, without=("thermometer",))
        case "ledger_damaged":
            return book.play((10, StorageFailed(reason="damaged", damaged=True)))
        case "storage":
            return book.play((10, StorageFailed(reason="disk full")))
        case "no_tariff":
            return Playbook().ready(tariff=None)
        case "flap":
            book.play((10, levels(flap_closed=False))).wait(31_000)
        case "beams":
            book.play((10, levels(beam_a_blocked=True))).wait(31_000)
    return book


@pytest.mark.parametrize("code", get_args(senses.Closed))
def test_each_reason_to_be_closed_is_shown(code: str) -> None:
    closed_by(code).shows(("closed", code))


TWO_FELL = (*AA_EDGES, *later_by(AA_EDGES, 80_000))
JUDGED: dict[str, tuple[int, tuple[Any, ...]]] = {
    "retracted": (AA_MG, STRING_EDGES),
    "hand": (AA_MG, HAND_EDGES),
    "too_light": (100, AA_EDGES),
    "mixed": (400_000, TWO_FELL),
    "not_a_battery": (250_000, AA_EDGES),
    "unpriced": (40_000, AA_EDGES),
}


def refused_for(code: str) -> Playbook:
    if code in JUDGED:
        net_mg, edges = JUDGED[code]
        return Playbook().begun().judged(net_mg=net_mg, edges=edges).committed()
    match code:
        case "unweighed":
            book = at("Weighing")
            book.wait(9_000, without=("scale",))
            return book.play((0, appended()))
        case "over_cap":
            used = CappedCredit(ref=ALICE.ref, cap_ms=0, points=100)
            book = Playbook(Settings(over_cap="refuse")).ready(credits=(used,))
            return book.play((10, card())).judged().committed()
        case "door":
            book = at("Weighing").play((10, levels(door_closed=False)), (10, appended()), (10, levels()))
        case "hazard":
            book = at("Weighing").play((10, HOT), (10, appended()), (10, appended("hazard:heat")), (10, COOL))
            book.play((10, HazardClearRequested(ticket="t", reason="cool")), (10, appended("clear:t")))
        case _:
            book = at("Weighing").play((10, InputsLost(source="pins")), (10, appended()), (10, levels()))
    return book.play((10, weighs(AA_MG)), (10, weighs(AA_MG))).cycle()


@pytest.mark.parametrize("code", [code for code in get_args(machine.Refused) if code != "accepted"])
def test_each_reason_of_a_refusal_is_shown(code: str) -> None:
    book = refused_for(code)
    assert book.view.screen in ("refused", "accepting", "farewell")
    assert book.view.reason == code
    assert book.view.credit is None


# --- a credit outlives the trouble after it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "scene"),
    [
        (levels(door_closed=False), ("closed", "door_open")),
        (HOT, ("hazard", "heat")),
        (passed("i2", UP_EDGES), ("recovering", "clearing")),
    ],
)
def test_trouble_in_the_step_of_the_commit_takes_no_credit_off_the_screen(
    trouble: Any, scene: tuple[str, str | None]
) -> None:
    book = at("Committing").play((10, trouble))
    assert book.view.credit is None
    book.play((10, appended())).shows(scene)
    assert book.view.credit is not None
    assert (book.view.credit.item_id, book.view.session_points) == ("i1", 10)
    assert book.view.remaining_points == 90


def test_a_battery_taken_away_before_its_commit_is_still_told_as_credited() -> None:
    book = at("Committing").play((10, weighs(0)), (10, weighs(0)), (10, appended())).shows(("recovering", "clearing"))
    assert book.view.credit is not None


def test_trouble_after_the_tip_takes_no_credit_off_the_screen() -> None:
    book = at("Tipping settling").play(
        (10, card(BOB)), (10, weighs(0)), (10, DeviceLost(device="scale", detail="gone"))
    )
    book.play((5_001, COOL)).shows(("closed", "scale"))
    assert book.view.credit is not None
    book = at("Accepting").deposit("i1").play((10, levels(door_closed=False)))
    book.play((10, levels(door_closed=False)), (150, levels(door_closed=False))).shows(("farewell", None))
    book.play((10, levels(gate="between"))).shows(("recovering", "clearing"))
    assert book.view.credit is not None


def test_what_is_not_committed_is_no_credit_however_it_ends() -> None:
    for trouble in (levels(door_closed=False), HOT, InputsLost(source="pins")):
        book = at("Weighing").play((10, trouble))
        assert book.view.credit is None
        book.play((10, appended()))
        assert book.view.credit is None
        assert book.view.session_points == 0
