from __future__ import annotations

from kiosk.simulator.demo.screen_tap import Shown
from kiosk.simulator.demo.story import QUIET_NS, START_NS, Story

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


def test_each_commit_is_told_once_even_when_it_had_no_view_of_its_own():
    told = Told()
    for item in ("x", "y"):
        told.view("weighing")
        if item == "x":
            told.view("committing")
            told.view("closed", reason="storage")
            told.view("committing")
        told.view("credited", {"item_id": item, "points": 10, "battery_class": "AA"})
        told.view("accepting", {"item_id": item, "points": 10, "battery_class": "AA"})
    assert told.lines.count("commit: one fdatasync") == 2


def test_what_a_new_daemon_has_not_heard_yet_is_starting_and_no_fault():
    told = Told()
    told.story.restarted(0)
    for screen, reason in (
        ("starting", None),
        ("starting", "starting"),
        ("closed", "temperature_sensor"),
        ("closed", "no_tariff"),
        ("recovering", "clearing"),
        ("closed", "no_tariff"),
        ("recovering", "clearing"),
        ("idle", None),
    ):
        told.view(screen, reason=reason)
    assert [line for line in told.lines if "recover" not in line and "shelf" not in line] == ["starting", "open again"]
    assert len(told.lines) == 3


def test_a_daemon_that_goes_on_missing_a_device_is_told_to_be_closed():
    told = Told()
    told.story.restarted(0)
    told.view("closed", reason="temperature_sensor")
    told.story.passed(START_NS)
    assert told.lines == ["starting"]
    assert told.story.starting
    told.story.passed(START_NS + 1)
    told.story.passed(START_NS + 2)
    assert told.lines == ["starting", "closed: temperature sensor"]
    assert not told.story.starting


def test_a_door_that_is_open_at_the_start_is_no_matter_of_starting():
    told = Told()
    told.story.restarted(0)
    told.view("closed", reason="door_open")
    assert told.lines == ["closed: door open"]


def test_a_hand_that_is_gone_has_left_nothing():
    told = Told()
    told.story.event({"event": "hand", "ms": 1_500, "t_ns": 0})
    told.edges(("beam_a", True, 0), ("beam_a", False, 1_500))
    told.story.passed(1_500 * MS + QUIET_NS)
    assert told.lines[-1] == "the hand is gone; nothing fell, nothing is credited"
    assert told.steps == []


def test_what_is_given_back_is_no_step_towards_the_server():
    told = Told()
    told.story.event({"event": "tipped", "to": "return", "t_ns": 0})
    told.story.event({"event": "tipped", "to": "store", "t_ns": 0})
    assert told.steps == ["tip"]


def test_the_step_of_the_card_ends_with_the_session():
    told = Told()
    for screen in ("idle", "accepting", "closing", "farewell", "idle"):
        told.view(screen)
    assert told.steps == ["card", "idle"]
