from __future__ import annotations

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.gate import Gate, GateMotion, Position, Switches

BETWEEN = Switches(store=False, return_=False, home=False)
HOME = Switches(store=False, return_=False, home=True)
STORE = Switches(store=True, return_=False, home=False)
RETURN = Switches(store=False, return_=True, home=False)
BOTH = Switches(store=True, return_=True, home=False)


def motion() -> GateMotion:
    return GateMotion(run_limit_ms=3_000, stall_ms=500)


@pytest.mark.parametrize(
    ("switches", "position"),
    [(BETWEEN, "between"), (HOME, "home"), (STORE, "store"), (RETURN, "return"), (BOTH, "between")],
)
def test_position_is_what_one_switch_says(switches: Switches, position: Position) -> None:
    assert switches.position == position


def test_store_and_back_home() -> None:
    gate = motion()
    gate.turn("store", HOME, 0)
    assert gate.motor == "in1"
    gate.tick(BETWEEN, 300)
    assert gate.motor == "in1"
    gate.tick(STORE, 900)
    assert gate.motor == "off"
    gate.turn("home", STORE, 1_000)
    assert gate.motor == "in2"
    gate.tick(BETWEEN, 1_300)
    assert gate.motor == "in2"
    gate.tick(HOME, 1_900)
    assert (gate.motor, gate.fault) == ("off", None)


def test_return_and_back_home() -> None:
    gate = motion()
    gate.turn("return", HOME, 0)
    assert gate.motor == "in2"
    gate.tick(BETWEEN, 300)
    gate.tick(RETURN, 900)
    assert gate.motor == "off"
    gate.turn("home", RETURN, 1_000)
    assert gate.motor == "in1"
    gate.tick(BETWEEN, 1_300)
    gate.tick(HOME, 1_900)
    assert (gate.motor, gate.fault) == ("off", None)


def test_a_gate_that_is_there_does_not_move() -> None:
    gate = motion()
    gate.turn("home", HOME, 0)
    assert gate.motor == "off"
    gate.tick(BETWEEN, 100)
    assert gate.motor == "off"


def test_from_end_to_end_it_passes_home() -> None:
    gate = motion()
    gate.turn("store", RETURN, 0)
    for switches, now_ms in ((BETWEEN, 300), (HOME, 900), (BETWEEN, 1_200)):
        gate.tick(switches, now_ms)
        assert gate.motor == "in1"
    gate.tick(STORE, 1_800)
    assert gate.motor == "off"


@pytest.mark.parametrize(("to", "motor"), [("store", "in2"), ("return", "in1")])
def test_stopped_half_way_it_goes_home_from_the_side_it_is_on(to: str, motor: str) -> None:
    gate = motion()
    gate.turn("store" if to == "store" else "return", HOME, 0)
    gate.tick(BETWEEN, 300)
    gate.stop()
    assert gate.motor == "off"
    gate.turn("home", BETWEEN, 10_000)
    gate.tick(BETWEEN, 10_100)
    assert gate.motor == motor


def test_from_an_unknown_place_home_is_sought_towards_the_store_and_back() -> None:
    gate = motion()
    gate.turn("home", BETWEEN, 0)
    assert gate.motor == "in1"
    gate.tick(BETWEEN, 100)
    assert gate.motor == "in1"
    gate.tick(STORE, 600)
    assert gate.motor == "in2"
    gate.tick(HOME, 1_200)
    assert gate.motor == "off"


def test_pushed_off_home_by_hand_the_place_is_unknown() -> None:
    gate = motion()
    gate.tick(HOME, 0)
    gate.tick(BETWEEN, 100)
    gate.turn("home", BETWEEN, 200)
    gate.tick(BETWEEN, 300)
    assert gate.motor == "in1"


def test_coasting_past_home_is_known() -> None:
    gate = motion()
    gate.turn("home", STORE, 0)
    gate.tick(HOME, 600)
    gate.tick(BETWEEN, 700)
    gate.turn("home", BETWEEN, 800)
    gate.tick(BETWEEN, 900)
    assert gate.motor == "in1"


def test_home_missed_between_two_ticks_is_found_on_the_way_back() -> None:
    gate = motion()
    gate.turn("home", STORE, 0)
    gate.tick(BETWEEN, 300)
    gate.tick(RETURN, 1_500)
    assert gate.motor == "in1"
    gate.tick(HOME, 2_100)
    assert gate.motor == "off"


def test_a_motor_that_does_not_leave_its_switch_is_cut_as_stalled() -> None:
    gate = motion()
    gate.turn("store", HOME, 0)
    gate.tick(HOME, 499)
    assert gate.motor == "in1"
    gate.tick(HOME, 500)
    assert (gate.motor, gate.fault) == ("off", "stall")


def test_a_jam_at_the_end_stop_where_it_should_turn_round_is_a_stall() -> None:
    gate = motion()
    gate.turn("home", BETWEEN, 0)
    gate.tick(STORE, 600)
    gate.tick(STORE, 1_100)
    assert (gate.motor, gate.fault) == ("off", "stall")


def test_a_motor_that_arrives_nowhere_is_cut_at_the_run_limit() -> None:
    gate = motion()
    gate.turn("store", HOME, 0)
    gate.tick(BETWEEN, 2_999)
    assert gate.motor == "in1"
    gate.tick(BETWEEN, 3_000)
    assert (gate.motor, gate.fault) == ("off", "run_limit")
    gate.tick(STORE, 3_100)
    assert gate.fault == "run_limit"


@pytest.mark.parametrize("switches", [BOTH, Switches(store=True, return_=False, home=True)])
def test_switches_that_contradict_each_other_cut_the_motor(switches: Switches) -> None:
    gate = motion()
    gate.turn("store", HOME, 0)
    gate.tick(switches, 100)
    assert (gate.motor, gate.fault) == ("off", "end_stops_disagree")
    gate.turn("home", switches, 200)
    assert (gate.motor, gate.fault) == ("off", "end_stops_disagree")


def test_the_next_turn_clears_the_fault() -> None:
    gate = motion()
    gate.turn("store", HOME, 0)
    gate.tick(HOME, 500)
    gate.turn("store", HOME, 1_000)
    assert (gate.motor, gate.fault) == ("in1", None)


def test_on_its_pins_the_motor_follows_the_switches(mock_pins: MockFactory) -> None:
    gate = Gate(in1=12, in2=18, store=20, return_=21, home=9, run_limit_ms=3_000, stall_ms=500)
    motor = (mock_pins.pin(12), mock_pins.pin(18))
    store, returned, home = mock_pins.pin(20), mock_pins.pin(21), mock_pins.pin(9)
    home.drive_low()
    assert gate.position == "home"
    gate.turn("store", 0)
    assert [pin.state for pin in motor] == [True, False]
    assert gate.moving
    home.drive_high()
    assert gate.position == "between"
    gate.tick(300)
    store.drive_low()
    gate.tick(600)
    assert [pin.state for pin in motor] == [False, False]
    assert not gate.moving
    assert gate.position == "store"
    gate.turn("return", 700)
    assert [pin.state for pin in motor] == [False, True]
    gate.tick(1_200)
    assert gate.fault == "stall"
    gate.turn("return", 1_300)
    store.drive_high()
    gate.stop()
    assert [pin.state for pin in motor] == [False, False]
    returned.drive_low()
    assert gate.position == "return"
    gate.turn("home", 2_000)
    gate.close()
    assert [pin.function for pin in motor] == ["input", "input"]


def test_both_motor_inputs_are_never_on_together(mock_pins: MockFactory) -> None:
    gate = Gate(in1=12, in2=18, store=20, return_=21, home=9, run_limit_ms=3_000, stall_ms=500)
    in1, in2 = mock_pins.pin(12), mock_pins.pin(18)
    together: list[bool] = []
    for pin in (in1, in2):
        change = pin._change_state
        pin._change_state = lambda value, change=change: (change(value), together.append(in1.state and in2.state))[0]
    gate.turn("store", 0)
    gate.turn("return", 100)
    gate.turn("store", 200)
    assert len(together) >= 5
    assert not any(together)
