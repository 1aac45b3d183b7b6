from __future__ import annotations

from kiosk.simulator.demo.screen_tap import Shown
from kiosk.simulator.demo.witness import Witness, covered_ns


def shown(item_id: str | None, at_ns: int) -> Shown:
    credit = None if item_id is None else {"item_id": item_id, "points": 5}
    return Shown(view={"screen": "accepting", "credit": credit}, at_ns=at_ns)


def test_a_credit_counts_from_when_it_was_first_on_the_screen():
    witness = Witness()
    for view in (shown(None, 1), shown("x", 2), shown("x", 3), shown("y", 4)):
        witness.view(view)
    assert [(credit.item_id, credit.at_ns) for credit in witness.credits.values()] == [("x", 2), ("y", 4)]


def test_falls_are_what_reached_the_shelf():
    witness = Witness()
    witness.event({"event": "dropped", "t_ns": 5, "fall_id": 1, "kind": "aa"})
    assert witness.falls == []
    witness.event({"event": "fell", "t_ns": 9, "fall_id": 1, "kind": "aa"})
    assert [(fall.fall_id, fall.at_ns) for fall in witness.falls] == [(1, 9)]


def test_flap_and_gate_are_moving_between_their_events():
    witness = Witness()
    witness.event({"event": "edge", "line": "flap_closed", "active": False, "t_ns": 10})
    witness.event({"event": "edge", "line": "flap_closed", "active": True, "t_ns": 40})
    witness.event({"event": "motor_on", "t_ns": 50})
    witness.event({"event": "motor_off", "t_ns": 70})
    assert witness.mechanics == [(10, 40), (50, 70)]


def test_what_moves_at_the_same_time_is_counted_once():
    assert covered_ns([(0, 10), (5, 20), (30, 40), (90, 99)], (2, 35)) == 18 + 5
