import json

import pytest

from kiosk.simulator.control import Command, obey
from kiosk.simulator.world import World

from .play import MS

EVERY_COMMAND = [
    {"do": "tap", "card": "0"},
    {"do": "hold", "card": "67003BA867"},
    {"do": "hold", "card": None},
    {"do": "scan", "text": "HOUSE-17"},
    {"do": "drop", "kind": "18650"},
    {"do": "drop", "kind": "aa", "string": True, "hurried": True, "orientation": "across", "speed_mm_s": 1700},
    {"do": "hand", "ms": 900, "reaches_b": True},
    {"do": "ghost"},
    {"do": "place", "kind": "aa"},
    {"do": "pull_out"},
    {"do": "empty_store"},
    {"do": "door", "open": True},
    {"do": "door", "open": False},
    {"do": "stick_flap", "open_now": True},
    {"do": "stick_flap", "stuck": False},
    {"do": "jam_gate"},
    {"do": "jam_gate", "jammed": False},
    {"do": "line", "line": "beam_a", "level": 0},
    {"do": "line", "line": "beam_a", "level": None},
    {"do": "heat", "milli_celsius": 45000, "ramp_ms": 60000},
    {"do": "break_sensor", "fault": "stale"},
    {"do": "break_sensor", "fault": None},
    {"do": "upset_scale", "noise_mg": 500, "drift_mg_s": 3},
    {"do": "upset_scale"},
    {"do": "noise", "device": "card_reader", "count": 12},
    {"do": "noise", "device": "scale", "per_mille": 50},
    {"do": "plug", "device": "scale", "present": False},
    {"do": "power", "on": False},
    {"do": "power", "on": True},
    {"do": "cut_power_at", "event": "motor_on"},
    {"do": "state"},
    {"do": "truth"},
    {"do": "watch"},
]


def say(world, command):
    answer, watches = obey(json.dumps(command).encode(), world)
    assert answer.endswith(b"\n")
    return json.loads(answer), watches


def test_every_command_is_obeyed_and_none_is_missing_here():
    world = World(1)
    for command in EVERY_COMMAND:
        answer, watches = say(world, command)
        assert answer["ok"] is True, answer
        assert watches == (command["do"] == "watch")
        world.advance(world.now_ns + 10 * MS)
    assert {command["do"] for command in EVERY_COMMAND} == {c.__struct_config__.tag for c in Command.__subclasses__()}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"drop aa", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "commands are break_sensor"),
        (b'{"do": "explode"}', "commands are break_sensor"),
        (b'{"do": "drop"}', "missing required field `kind`"),
        (b'{"do": "drop", "kind": "brick"}', "items are aa, aaa"),
        (b'{"do": "drop", "kind": "aa", "mass_mg": -1}', "$.mass_mg"),
        (b'{"do": "door", "open": "yes"}', "$.open"),
        (b'{"do": "door", "open": true, "slam": true}', "unknown field `slam`"),
        (b'{"do": "tap", "card": "99"}', "cards are 0 to 15"),
        (b'{"do": "pull_out"}', "nothing lies on the shelf"),
    ],
)
def test_what_is_no_command_is_answered_in_words_and_changes_nothing(line, words):
    world = World(1)
    before = world.snapshot()
    answer, watches = obey(line, world)
    assert json.loads(answer)["ok"] is False
    assert words in json.loads(answer)["error"]
    assert not watches
    assert world.snapshot() == before


def test_truth_and_state_say_what_happened():
    world = World(1)
    assert say(world, {"do": "place", "kind": "9v"})[0] == {"ok": True, "fall_id": 1}
    [fall] = say(world, {"do": "truth"})[0]["falls"]
    assert (fall["kind"], fall["where"], fall["t_ns"]) == ("9v", "shelf", 0)
    assert say(world, {"do": "state"})[0]["snapshot"] == world.snapshot()
