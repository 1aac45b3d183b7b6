"""Facts beside the main job: faults, latches, storage, and what may open."""

from __future__ import annotations

import pytest

from kiosk.core import senses
from kiosk.core.effects import Answer, TurnGate, UnlockFlap
from kiosk.core.events import (
    DeviceLost,
    DeviceReturned,
    DonePressed,
    EmptyingReported,
    HazardClearRequested,
    InputsLost,
    LanguageChosen,
    ServerTimeReceived,
    StorageFailed,
    StorageReturned,
    SyncChanged,
    TariffReceived,
    TemperatureMeasured,
    TemperatureMissed,
    Ticked,
)
from kiosk.core.states import Committing
from sync.records import (
    Counts,
    Emptied,
    FaultCleared,
    FaultRaised,
    HazardCleared,
    HazardRaised,
    ServiceEntered,
    ServiceLeft,
    TipFailed,
)
from tests.core.playbook import (
    COOL,
    GOOD,
    HOT,
    TARIFF,
    Playbook,
    append,
    appended,
    at,
    card,
    later,
    levels,
    opened,
    weighs,
)

ASKS = HazardClearRequested(ticket="t1", reason="looked inside, cold")
WARM = TemperatureMeasured(sensor="bin", milli_celsius=50_000)


def refused(text: str, ticket: str = "t1") -> tuple[Answer]:
    return (Answer(ticket=ticket, done=False, text=text),)


# --- latches --------------------------------------------------------------------------------------------------------


def test_a_latch_opens_only_when_its_clearing_is_durable() -> None:
    book = at("Idle").play(
        (10, HOT, (append(HazardRaised, hazard="heat"),), ("hazard", "heat")),
        (10, HOT, ()),
        (10, COOL, (), "hazard"),
        (10, ASKS, (append(HazardCleared, hazard="heat", reason="looked inside, cold"),), "hazard"),
        (10, card(), (), "hazard"),
        (10, appended("clear:t1"), (Answer(ticket="t1", done=True, text="hazard cleared"),), "idle"),
        (10, card(), (UnlockFlap(),), "accepting"),
    )
    assert not book.bin.latched


def test_a_latch_is_not_cleared_while_it_is_warm_or_unknown_or_unrecordable() -> None:
    at("Idle").play(
        (10, ASKS, refused("no hazard is latched")),
        (10, HOT),
        (10, ASKS, refused("bin is at 61.0 °C: wait until it is below 45.0 °C")),
        (10, WARM),
        (10, ASKS, refused("bin is at 50.0 °C: wait until it is below 45.0 °C")),
        (10, COOL),
        (0, StorageFailed(reason="disk full")),
        (10, ASKS, refused("cannot be recorded now: disk full")),
        (0, StorageReturned()),
        (10_500, Ticked()),
        (0, ASKS, refused("temperature sensor bin gives no believable reading: replace or reconnect it first")),
    )


def test_before_the_ledger_is_open_nothing_can_be_cleared_or_reported() -> None:
    not_open = "cannot be recorded now: the ledger is not open yet; try again in a few seconds"
    Playbook().play(
        (0, HOT),
        (0, COOL),
        (0, ASKS, refused(not_open)),
        (0, EmptyingReported(ticket="e1", note="full"), refused(not_open, "e1")),
    )


def test_heat_before_the_ledger_opens_latches_and_is_recorded_as_soon_as_it_is_open() -> None:
    book = Playbook().play((0, levels()), (0, HOT, (), ("hazard", "heat")), (10, COOL, (), "hazard"))
    book.play((10, opened(), (append(HazardRaised, detail="bin 61.0 °C, limit 60.0 °C"),), "hazard"), (10, COOL, ()))


def test_a_hazard_that_the_ledger_knows_is_not_recorded_again() -> None:
    Playbook().play((0, levels()), (0, HOT), (10, opened(hazards=("heat",)), (), "hazard"), (0, HOT, ()))


def test_a_hazard_survives_a_restart_and_the_shelf_waits_for_it() -> None:
    book = Playbook().play((0, opened(hazards=("heat", "smoke"))), (0, COOL), (0, levels(), (), ("hazard", "heat")))
    book.play((0, weighs(0), ()), (100, weighs(0), ()), (100, levels(), ()))
    book.play(
        (0, ASKS, (later(HazardCleared, hazard="heat"), append(HazardCleared, hazard="smoke"))),
        (0, appended("clear:t1")),
    )
    assert TurnGate(to="store") in book.effects


def test_heat_that_comes_back_before_the_clearing_is_recorded_keeps_the_latch() -> None:
    book = at("Idle").play(
        (10, HOT),
        (10, COOL),
        (10, ASKS, (append(HazardCleared),)),
        (10, HOT, (append(HazardRaised, hazard="heat"),)),
        (10, COOL, ()),
        (10, appended("clear:t1"), refused("it became hot again before the clearing was recorded"), "hazard"),
    )
    assert book.bin.latched == {"heat"}


def test_a_second_clearing_waits_for_the_first() -> None:
    again = HazardClearRequested(ticket="t2", reason="impatient")
    at("Idle").play(
        (10, HOT),
        (10, COOL),
        (10, ASKS),
        (10, again, refused("a clearing is being recorded already: wait for its answer", "t2")),
    )


def test_a_hazard_opened_from_the_ledger_in_the_middle_of_a_tip_fails_it() -> None:
    book = at("Tipping turning")
    effects = book.feed(10, opened(hazards=("smoke",)))
    book.same(Ticked(), effects[-1:], (later(TipFailed, reason="hazard"),))


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_fault_is_recorded_once_when_it_begins_and_once_when_it_ends() -> None:
    lost = DeviceLost(device="card_reader", detail="gone (ENODEV)")
    book = at("Idle").play(
        (10, lost, (later(FaultRaised, device="card_reader", detail="gone (ENODEV)"),), ("idle", "card_reader")),
        (10, lost, ()),
        (10, DeviceReturned(device="card_reader"), (later(FaultCleared, device="card_reader"),), ("idle", None)),
        (10, DeviceReturned(device="qr_reader"), ()),
    )
    assert book.phase() == "Idle"


def test_a_fault_from_before_the_restart_is_cleared_when_it_is_gone() -> None:
    Playbook().play((0, opened(faults=("gate",)), (later(FaultCleared, device="gate"),)))


def test_a_full_inbox_is_a_fault_until_the_levels_are_read_anew() -> None:
    at("Idle").play(
        (10, InputsLost(source="pins"), (later(FaultRaised, device="inbox"),)),
        (10, levels(), (later(FaultCleared, device="inbox"),)),
    )


def test_a_silent_scale_is_a_lost_scale_and_its_tare_does_not_outlive_it() -> None:
    book = at("Idle")
    book.wait(3_500, without=("scale",))
    assert "scale" in book.bin.recorded_faults
    book.shows(("closed", "scale")).play((10, card(), ()))
    assert book.bin.tare_mg is None
    book.play((10, weighs(0)), (100, weighs(0)))
    assert book.phase() == "Recovering turning"
    assert "scale" not in book.bin.recorded_faults


def test_a_reading_after_a_gap_without_a_tick_is_no_continuation() -> None:
    book = at("Idle").play((3_001, weighs(0)))
    assert book.bin.tare_mg is None
    assert book.bin.equal_stable == 1


def test_a_beam_that_stays_blocked_is_a_fault_of_the_beams() -> None:
    book = at("Idle").play((10, levels(beam_a_blocked=True), (), ("closed", "beams")))
    book.wait(30_500)
    assert book.bin.recorded_faults == {"beams"}
    book.shows(("closed", "beams")).play((10, levels(), (later(FaultCleared, device="beams"),), "idle"))


def test_a_flap_held_open_in_a_session_is_no_fault() -> None:
    book = at("Accepting").play((10, levels(flap_closed=False)))
    book.wait(29_500)
    assert not book.bin.recorded_faults


def test_levels_from_before_the_pins_were_lost_are_not_believed() -> None:
    book = at("Idle").play((10, DeviceLost(device="pins", detail="gone"), (later(FaultRaised),), ("closed", "pins")))
    book.play((10, DeviceReturned(device="pins"), (later(FaultCleared),), ("closed", "starting")), (10, card(), ()))
    book.play((10, levels(), (), "idle"), (10, card(), (UnlockFlap(),)))


def test_lost_pins_count_for_more_than_a_silent_thermometer() -> None:
    book = at("Weighing")
    book.wait(1_000, without=("thermometer",))
    book.wait(10_500, without=("thermometer",))
    book.feed(10, DeviceLost(device="pins", detail="gone"))
    assert senses.closed_because(book.bin, book.now_ms) == "pins"


# --- levels, masses, the rest ---------------------------------------------------------------------------------------


def test_the_door_is_on_record() -> None:
    book = at("Idle").play(
        (10, levels(door_closed=False), (later(ServiceEntered),), ("closed", "door_open")),
        (10, levels(door_closed=False), ()),
        (10, levels(), (later(ServiceLeft),), "idle"),
    )
    assert book.bin.levels == GOOD


def test_a_door_found_open_at_the_start_is_no_service_begun() -> None:
    Playbook().play((0, levels(door_closed=False), ()), (0, levels(), ()), (0, opened(), ()))


def test_only_stable_readings_that_agree_count() -> None:
    book = Playbook()
    counts = []
    for mass in (weighs(0), weighs(100), weighs(350), weighs(350, stable=False), weighs(350), weighs(350)):
        book.play((100, mass))
        counts.append(book.bin.equal_stable)
    assert counts == [1, 2, 1, 0, 1, 2]


@pytest.mark.parametrize(
    "event",
    [
        TemperatureMissed(sensor="bin", reason="crc"),
        TemperatureMeasured(sensor="bin", milli_celsius=125_001),
        DonePressed(),
        SyncChanged(online=False, counts=None, trouble=None),
    ],
)
def test_what_tells_nothing_changes_nothing(event: object) -> None:
    book = at("Idle")
    before = book.bin
    book.play((0, event, ()))
    assert book.bin == before


def test_the_screen_learns_of_the_server() -> None:
    book = at("Idle").play(
        (10, SyncChanged(online=True, counts=Counts(accepted=3, pending=2, held=1), trouble=None), ())
    )
    assert (book.view.online, book.view.on_its_way) == (True, 2)
    book.play((10, SyncChanged(online=False, counts=None, trouble="no route"), ()))
    assert (book.view.online, book.view.on_its_way, book.bin.sync_trouble) == (False, 2, "no route")


def test_tariff_language_and_server_time_are_taken_in() -> None:
    book = at("Idle").play(
        (0, TariffReceived(tariff=TARIFF), ()),
        (0, LanguageChosen(language="en"), ()),
        (0, ServerTimeReceived(wall_ms=10**12), ()),
    )
    assert book.bin.tariff == TARIFF
    assert book.bin.language == "en"
    assert book.bin.cap_clock.now(book.now_ms) == 10**12


def test_an_opened_ledger_without_a_tariff_keeps_the_one_from_the_server() -> None:
    book = Playbook().play((0, TariffReceived(tariff=TARIFF)), (0, opened(tariff=None)))
    assert book.bin.tariff == TARIFF


def test_an_emptying_is_answered_when_it_is_durable() -> None:
    at("Idle").play(
        (0, EmptyingReported(ticket="e1", note="two bags"), (append(Emptied, note="two bags"),)),
        (5, appended("empty:e1"), (Answer(ticket="e1", done=True, text="emptying recorded"),)),
    )


def test_every_reason_to_stay_closed_is_told_apart() -> None:
    book = Playbook()
    told = [senses.no_session_because(book.bin, 0)]
    for event in (
        levels(door_closed=False),
        levels(),
        COOL,
        StorageFailed(reason="chain broken", damaged=True),
        StorageFailed(reason="disk full"),
        opened(tariff=None),
        DeviceLost(device="scale", detail="gone"),
        DeviceReturned(device="scale"),
        weighs(0),
        TariffReceived(tariff=TARIFF),
    ):
        book.play((0, event))
        told.append(senses.no_session_because(book.bin, 0))
    assert told == [
        *("starting", "door_open", "temperature_sensor", "starting", "ledger_damaged", "storage", "no_tariff"),
        *("scale", "no_tariff", "no_tariff", None),
    ]


def test_a_blocked_gate_keeps_the_bin_closed() -> None:
    book = at("Tipping turning").play((500, levels(gate="between", gate_fault="stall")))
    assert senses.no_session_because(book.bin, book.now_ms) == "gate"
    assert "gate" in senses.faults(book.bin, book.now_ms)
    assert not isinstance(book.bin.phase, Committing)
