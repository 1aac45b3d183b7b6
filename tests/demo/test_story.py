from __future__ import annotations

from kiosk.simulator.demo.screen_tap import Shown
from kiosk.simulator.demo.story import QUIET_NS, Story

MS = 1_000_000


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[str] = []
        self.falls: list[dict] = []
        self.story = Story(lambda tone, line: self.lines.append(line), self.steps.append, self.falls.append)

    def edges(self, *edges: tuple[str, bool, int]) -> None:
        for line, active, ms in edges:
            self.story.event({"event": "edge", "line": line, "active": active, "t_ns": ms * MS})

    def view(self, screen: str, credit: dict | None = None, reason: str | None = None) -> None:
        self.story.view(Shown(view={"screen": screen, "credit": credit, "reason": reason}, at_ns=0))


def test_a_fall_is_told_whole_once_the_beams_are_quiet():
    told = Told()
    told.story.event({"event": "dropped", "kind": "aa", "t_ns": 0})
    told.edges(("beam_a", True, 100), ("metal", True, 105), ("beam_b", True, 120), ("beam_a", False, 122))
    told.edges(("metal", False, 125), ("beam_b", False, 141))
    told.story.passed(141 * MS + QUIET_NS - 1)
    assert told.falls == []
    told.story.passed(141 * MS + QUIET_NS)
    told.story.passed(141 * MS + 2 * QUIET_NS)
    assert len(told.falls) == 1
    assert told.falls[0]["edges"][0] == ["a", True, 0.0]
    assert told.falls[0]["edges"][-1] == ["b", False, 41.0]
    assert told.lines == ["AA falls: beam A, metal, beam B within 41 ms"]


def test_a_beam_that_is_still_blocked_is_not_yet_a_passage():
    told = Told()
    told.edges(("beam_a", True, 0))
    told.story.passed(10 * QUIET_NS)
    assert told.falls == []


def test_a_rise_is_played_upwards_and_is_no_fall():
    told = Told()
    told.edges(("beam_b", True, 0), ("beam_b", False, 30), ("beam_a", True, 40), ("beam_a", False, 80))
    told.story.passed(80 * MS + QUIET_NS)
    assert told.falls[0]["up"] is True
    assert told.steps == []


def test_the_steps_come_in_the_order_of_the_screen():
    told = Told()
    credit = {"item_id": "x", "points": 10, "battery_class": "AA"}
    for screen in ("idle", "accepting", "closing", "weighing", "committing"):
        told.view(screen)
    told.view("credited", credit)
    told.view("accepting", credit)
    assert told.steps == ["card", "scale", "commit", "points 10"]


def test_a_credit_is_told_once():
    told = Told()
    credit = {"item_id": "x", "points": 10, "battery_class": "AA"}
    told.view("credited", credit)
    told.view("accepting", credit)
    assert sum("+10" in line for line in told.lines) == 1


def test_what_the_server_counts_is_told_when_it_grows():
    told = Told()
    for acknowledged in (0, 0, 2, 2):
        told.story.counts({"acknowledged": acknowledged}, online=True, trouble=None)
    assert told.lines == ["the server has counted 2 more: 2 acknowledged"]


def test_a_daemon_that_has_not_called_yet_is_not_offline():
    told = Told()
    for online, trouble in ((True, None), (False, None), (True, None), (False, "refused")):
        told.story.counts({"acknowledged": 0}, online=online, trouble=trouble)
    assert told.lines == ["no points server: offline is normal"]


def test_a_refusal_is_told_once_whether_or_not_there_is_something_to_give_back():
    for screens in (("weighing", "refused", "accepting"), ("weighing", "accepting", "closing", "farewell")):
        told = Told()
        for screen in screens:
            told.view(screen, reason=None if screen in ("weighing", "closing") else "retracted")
        assert told.lines[1:] == ["refused: retracted"]
        assert told.steps == ["scale", "refused"]
