"""Each scene of the residents' screen, and the code of its sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiosk.core.events import (
    DeviceLost,
    DonePressed,
    LanguageChosen,
    StopRequested,
    StorageFailed,
    StorageReturned,
    SyncChanged,
)
from kiosk.core.view import scene, view_of
from tests.core.playbook import (
    ALICE,
    BOB,
    COOL,
    HOT,
    PHASES,
    STOPPED,
    STRING_EDGES,
    Playbook,
    appended,
    at,
    card,
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


def test_a_session_says_when_its_reader_is_lost_unless_something_was_refused() -> None:
    at("Accepting").play((0, DeviceLost(device="card_reader", detail="gone"))).shows(("accepting", "card_reader"))
    book = Playbook().begun().judged(edges=STRING_EDGES).play((0, appended())).shows(("refused", "retracted"))
    book.tipped("return").shows(("accepting", "retracted"))
    book.play((0, DonePressed()), (0, levels()), (150, levels())).shows(("farewell", "retracted"))


def test_two_passages_ask_for_one_at_a_time_and_a_late_flap_to_be_shut() -> None:
    book = at("Closing").play((0, passed("i2"), (), ("closing", "one_at_a_time")))
    book.wait(5_000)
    book.shows(("closing", "close_flap"))


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
