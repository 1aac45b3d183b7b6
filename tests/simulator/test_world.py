import json

import pytest

from kiosk.simulator.devices_far_end import CARDS, rdm6300_frame
from kiosk.simulator.outputs import W1Changed
from kiosk.simulator.wiring import INPUTS
from kiosk.simulator.world import World

from .play import MS, Play

BEAMS = ("beam_a", "beam_b")
LONG_FALL = [("beam_a", 0), ("beam_b", 0), ("beam_a", 1), ("beam_b", 1)]
SHORT_FALL = [("beam_a", 0), ("beam_a", 1), ("beam_b", 0), ("beam_b", 1)]
RISE = [("beam_b", 0), ("beam_a", 0), ("beam_b", 1), ("beam_a", 1)]


def script(seed):
    play = Play(seed)
    for kind in ("aa", "coin", "d"):
        play.deposit(kind)
        play.world.tap("3")
    play.out("gate_in1", 1)
    play.wait(2_000)
    return play.outputs


def test_one_seed_is_one_world_and_another_is_another():
    assert script(7) == script(7)
    assert script(7) != script(8)


def test_time_in_one_leap_is_time_in_steps():
    stepped, leapt = Play(), Play()
    for play in (stepped, leapt):
        play.out("flap_lock", 1)
        play.world.drop("aa")
    stepped.wait(5_000)
    leapt.outputs += leapt.world.advance(5_000 * MS)
    assert stepped.outputs == leapt.outputs


def test_at_first_the_bin_is_shut_empty_and_at_home():
    active = {line for line, bcm in INPUTS.items() if World(1).levels()[bcm] == 0}
    assert active == {"door", "flap_closed", "gate_home"}


# --- the flap and what falls ----------------------------------------------------------------------------------------


def test_the_resident_waits_for_the_lock_pushes_and_the_item_falls():
    play = Play()
    fall_id = play.world.drop("aa", orientation="lengthwise")
    play.wait(2_000)
    assert play.edges("flap_closed", *BEAMS) == []
    play.out("flap_lock", 1)
    play.wait(2_000)
    assert play.edges("flap_closed", *BEAMS) == [("flap_closed", 1), *LONG_FALL, ("flap_closed", 0)]
    opened, *_, shut = play.timed_edges("flap_closed")
    assert (shut[2] - opened[2]) // MS == 120 + 300
    fall = play.world.truth[0]
    assert (fall.fall_id, fall.where) == (fall_id, "shelf")
    assert fall.t_ns == play.timed_edges("beam_a")[0][2]


def test_a_coin_cell_leaves_a_before_it_reaches_b():
    play = Play()
    play.out("flap_lock", 1)
    play.world.drop("coin", orientation="across", speed_mm_s=2_400)
    play.wait(1_000)
    assert play.edges(*BEAMS) == SHORT_FALL
    (_, _, down), (_, _, up) = play.timed_edges("beam_a")
    assert up - down == pytest.approx(1.33 * MS, rel=0.02)


def test_before_a_locked_flap_patience_ends_and_the_truth_says_so():
    play = Play(patience_ms=5_000)
    fall_id = play.world.drop("c")
    play.wait(6_000)
    play.out("flap_lock", 1)
    play.wait(2_000)
    fall = play.world.truth[0]
    assert (fall.given_up, fall.where, fall.t_ns) == (True, "hand", None)
    assert [event.fields["fall_id"] for event in play.events("gave_up")] == [fall_id]


def test_a_lock_that_closes_under_the_hand_keeps_the_resident_waiting():
    play = Play()
    play.out("flap_lock", 1)
    fall_id = play.world.drop("aa")
    play.wait(50)
    play.out("flap_lock", 0)
    play.wait(1_000)
    assert play.where(fall_id) == "hand"
    play.out("flap_lock", 1)
    play.wait(1_000)
    assert play.where(fall_id) == "shelf"


def test_two_items_pass_one_by_one_and_a_hurried_one_before_the_flap_has_closed():
    play = Play()
    play.out("flap_lock", 1)
    play.world.drop("aa")
    play.world.drop("aa", hurried=True)
    play.wait(3_000)
    assert play.edges("flap_closed") == [("flap_closed", 1), ("flap_closed", 0)]
    _, second = play.events("dropped")
    assert play.timed_edges("flap_closed")[-1][2] - second.t_ns == 300 * MS
    play.world.drop("aa")
    play.wait(3_000)
    assert play.edges("flap_closed") == [("flap_closed", 1), ("flap_closed", 0)] * 2
    assert len(play.world.snapshot()["shelf"]["items"]) == 3


def test_a_stuck_flap_stays_open_and_lets_everybody_in_until_it_is_freed():
    play = Play()
    play.world.stick_flap()
    play.deposit()
    play.wait(5_000)
    assert play.edges("flap_closed") == [("flap_closed", 1)]
    assert play.where(play.world.drop("aa")) == "hand"
    play.wait(2_000)
    assert play.where(2) == "shelf"
    play.world.stick_flap(False)
    play.wait(2_000)
    assert play.edges("flap_closed") == [("flap_closed", 1), ("flap_closed", 0)]


def test_a_flap_can_be_wedged_open_though_it_is_locked():
    play = Play()
    play.world.drop("aa")
    play.world.stick_flap(open_now=True)
    play.wait(2_000)
    assert play.where(1) == "shelf"
    assert play.world.snapshot()["flap"] == {"locked": True, "open": 1.0, "stuck": True}


def test_a_battery_on_a_string_falls_and_rises_and_leaves_nothing():
    play = Play()
    play.out("flap_lock", 1)
    fall_id = play.world.drop("aa", string=True, orientation="lengthwise")
    play.wait(300 + 120 + 200)
    play.wait(4_000)
    assert play.edges(*BEAMS) == LONG_FALL + RISE
    assert play.edges("flap_closed") == [("flap_closed", 1), ("flap_closed", 0)]
    assert play.timed_edges("flap_closed")[-1][2] > play.timed_edges("beam_a")[-1][2], "the string holds it open"
    assert play.where(fall_id) == "hand"
    assert play.world.snapshot()["shelf"]["mass_mg"] == 0
    assert [where for _, where in play.world.truth[0].history] == ["chute", "shelf", "chute", "hand"]


@pytest.mark.parametrize("reaches_b", [False, True])
def test_a_hand_blocks_a_for_seconds_and_b_within_that_at_most(reaches_b):
    play = Play()
    play.out("flap_lock", 1)
    play.world.hand(2_000, reaches_b=reaches_b)
    play.wait(4_000)
    inside = [("beam_b", 0), ("beam_b", 1)] if reaches_b else []
    assert play.edges(*BEAMS) == [("beam_a", 0), *inside, ("beam_a", 1)]
    (_, _, down), (_, _, up) = play.timed_edges("beam_a")
    assert up - down == 2_000 * MS
    assert play.world.truth == ()


def test_metal_is_seen_for_batteries_never_for_stones_and_seldom_for_coin_cells():
    play = Play(3, pause_ms=1_000)
    play.out("flap_lock", 1)
    pulses = {}
    for kind in ("aa", "coin", "stone"):
        before = len(play.edges("metal"))
        for _ in range(20):
            play.world.drop(kind)
        play.wait(40_000)
        pulses[kind] = (len(play.edges("metal")) - before) // 2
    assert pulses["aa"] >= 18
    assert 1 <= pulses["coin"] <= 10
    assert pulses["stone"] == 0


def test_batteries_of_one_kind_differ_a_little():
    play = Play(mass_noise_per_mille=20)
    for _ in range(50):
        play.world.drop("aa")
    masses = {fall.mass_mg for fall in play.world.truth}
    assert len(masses) > 10
    assert all(23_324 <= mass <= 24_276 for mass in masses)


# --- the gate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("motor", "stop", "where"), [("gate_in1", "gate_store", "store"), ("gate_in2", "gate_return", "return")]
)
def test_at_the_end_stop_the_item_slides_off_and_the_motor_stands(motor, stop, where):
    play = Play()
    fall_id = play.deposit()
    play.out(motor, 1)
    play.wait(3_000)
    assert play.edges("gate_home", stop) == [("gate_home", 1), (stop, 0)]
    assert play.where(fall_id) == where
    assert not play.world.snapshot()["gate"]["moving"]
    assert [event.fields for event in play.events("tipped")] == [{"to": where, "count": 1}]


def test_half_way_nothing_slides():
    play = Play()
    fall_id = play.deposit()
    play.out("gate_in1", 1)
    play.wait(500)
    play.out("gate_in1", 0)
    play.wait(3_000)
    assert play.where(fall_id) == "shelf"


def test_both_inputs_high_are_a_brake():
    play = Play()
    play.out("gate_in1", 1)
    play.out("gate_in2", 1)
    play.wait(1_000)
    assert play.edges("gate_home") == []


def test_a_jammed_gate_keeps_the_item_whatever_the_motor_does():
    play = Play()
    play.world.jam_gate()
    fall_id = play.deposit()
    play.out("gate_in1", 1)
    play.wait(5_000)
    assert play.edges("gate_home", "gate_store") == []
    assert play.where(fall_id) == "shelf"
    assert len(play.events("motor_on")) == 1


def test_what_falls_onto_a_tipped_shelf_slides_on():
    play = Play()
    play.out("gate_in1", 1)
    play.wait(2_000)
    assert play.where(play.deposit()) == "store"
    assert play.events("fell")[0].fields["where"] == "store"


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_pulled_out_item_rises_through_both_beams():
    play = Play()
    fall_id = play.deposit("aa")
    before = len(play.edges(*BEAMS))
    assert play.world.pull_out() == fall_id
    play.wait(2_000)
    assert play.edges(*BEAMS)[before:] == RISE
    assert play.where(fall_id) == "gone"


def test_through_the_open_door_it_goes_silently():
    play = Play()
    fall_id = play.deposit("aa")
    before = len(play.edges(*BEAMS))
    play.world.door(is_open=True)
    play.world.pull_out()
    play.wait(2_000)
    assert play.edges(*BEAMS)[before:] == []
    assert play.where(fall_id) == "gone"


def test_an_empty_shelf_has_nothing_to_pull():
    with pytest.raises(ValueError, match="nothing lies on the shelf"):
        World(1).pull_out()


def test_beams_can_say_fall_while_nothing_arrives():
    play = Play()
    play.out("flap_lock", 1)
    fall_id = play.world.drop("aa", misses_shelf=True, orientation="lengthwise")
    play.wait(2_000)
    assert play.edges(*BEAMS) == LONG_FALL
    assert play.where(fall_id) == "gone"
    play.world.ghost()
    play.wait(2_000)
    assert play.edges(*BEAMS) == LONG_FALL * 2
    assert len(play.world.truth) == 1
    assert play.world.snapshot()["shelf"]["mass_mg"] == 0


def test_mass_can_come_without_beams():
    play = Play()
    fall_id = play.world.place("9v")
    play.wait(2_000)
    assert play.edges(*BEAMS) == []
    assert play.world.snapshot()["shelf"]["shown_mg"] == pytest.approx(play.world.truth[0].mass_mg, abs=20)
    assert not play.world.truth[fall_id - 1].through_beams


def test_a_blocked_beam_and_a_cut_wire_read_so_until_mended():
    play = Play()
    play.world.force_line("beam_a", 0)
    play.world.force_line("flap_closed", 1)
    play.deposit()
    assert play.edges("beam_a", "flap_closed") == [("beam_a", 0), ("flap_closed", 1)]
    play.world.force_line("beam_a", None)
    play.world.force_line("flap_closed", None)
    play.wait(0)
    assert play.edges("beam_a", "flap_closed")[2:] == [("beam_a", 1), ("flap_closed", 0)]


def test_the_open_door_and_the_cut_out_break_the_supply_of_lock_and_motor():
    for cause in (lambda world: world.door(is_open=True), lambda world: world.heat(80_000)):
        play = Play()
        play.out("flap_lock", 1)
        play.out("gate_in1", 1)
        play.wait(100)
        cause(play.world)
        play.wait(2_000)
        assert play.world.snapshot()["flap"]["locked"]
        assert not play.world.snapshot()["gate"]["moving"]
        assert play.edges("gate_store") == []


def test_a_drawing_knows_what_lies_in_store_and_return():
    play = Play()
    play.deposit("d")
    play.deposit("coin")
    play.out("gate_in1", 1)
    play.wait(2_000)
    play.out("gate_in1", 0)
    play.out("gate_in2", 1)
    play.wait(4_000)
    play.deposit("stone")
    snapshot = play.world.snapshot()
    assert snapshot["store"]["kinds"] == ["d", "coin"]
    assert snapshot["returned"] == {"count": 1, "kinds": ["stone"]}


def test_the_store_is_emptied():
    play = Play()
    fall_id = play.deposit()
    play.out("gate_in1", 1)
    play.wait(2_000)
    assert play.world.snapshot()["store"]["count"] == 1
    assert play.world.empty_store() == 1
    assert play.where(fall_id) == "gone"


@pytest.mark.parametrize(
    "do",
    [
        lambda world: world.drop("brick"),
        lambda world: world.place("brick"),
        lambda world: world.force_line("beam_c", 0),
        lambda world: world.noise("modem", 3),
        lambda world: world.tap("16"),
        lambda world: world.cut_power_at("never"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(do):
    with pytest.raises(ValueError, match=r"are |can at"):
        do(World(1))


# --- power ----------------------------------------------------------------------------------------------------------


def test_without_power_the_motor_stops_the_lock_locks_and_devices_are_silent():
    play = Play()
    play.world.hold("0")
    play.out("flap_lock", 1)
    play.out("gate_in1", 1)
    play.wait(200)
    play.world.power(on=False)
    play.wait(0)
    play.outputs.clear()
    play.out("flap_lock", 1)
    play.wait(5_000)
    assert play.outputs == []
    snapshot = play.world.snapshot()
    assert snapshot["flap"]["locked"]
    assert -1 < snapshot["gate"]["position"] < 0


def test_what_falls_goes_on_falling_and_the_scale_comes_back_with_it_as_zero():
    play = Play()
    play.out("flap_lock", 1)
    fall_id = play.world.drop("c")
    play.wait(100 + 120 + 50)
    play.world.power(on=False)
    play.wait(3_000)
    assert play.where(fall_id) == "shelf"
    assert play.edges(*BEAMS) == []
    play.world.power(on=True)
    play.wait(1_000)
    assert play.edges("flap_closed") == [("flap_closed", 1), ("flap_closed", 0)], "as it physically is"
    assert play.world.snapshot()["shelf"]["shown_mg"] == pytest.approx(0, abs=20)
    assert play.world.truth[0].t_ns is not None


def test_power_fails_at_the_motors_first_turn_before_anything_tips():
    play = Play()
    fall_id = play.deposit()
    play.world.cut_power_at("motor_on")
    play.out("gate_in1", 1)
    play.wait(3_000)
    assert [event.name for event in play.events("motor_on", "power_cut", "tipped")] == ["motor_on", "power_cut"]
    assert play.where(fall_id) == "shelf"
    play.world.power(on=True)
    play.out("gate_in1", 1)
    play.wait(3_000)
    assert play.where(fall_id) == "store", "it fails once"


def test_a_dead_daemons_outputs_are_dropped_by_the_one_shot_unless_another_comes():
    play = Play(one_shot_ms=1_000)
    play.out("flap_lock", 1)
    play.world.lose_controller()
    play.wait(500)
    play.world.find_controller()
    play.wait(2_000)
    assert not play.world.snapshot()["flap"]["locked"]
    play.world.lose_controller()
    play.wait(999)
    assert not play.world.snapshot()["flap"]["locked"]
    play.wait(1)
    assert play.world.snapshot()["flap"]["locked"]


# --- devices --------------------------------------------------------------------------------------------------------


def test_a_held_card_repeats_until_it_is_taken_away():
    play = Play(card_repeat_ms=65)
    play.world.hold("1")
    play.wait(65 * 9 + 10)
    assert play.sent("card_reader") == rdm6300_frame(CARDS[1]) * 10
    play.world.hold(None)
    play.wait(1_000)
    assert play.sent("card_reader") == rdm6300_frame(CARDS[1]) * 10


def test_a_tapped_card_goes_by_itself():
    play = Play(card_repeat_ms=65, tap_ms=400)
    play.world.tap("67003BA867")
    play.wait(5_000)
    assert play.sent("card_reader") == rdm6300_frame("67003BA867") * 7
    assert play.world.snapshot()["card_held"] is None


def test_a_code_is_scanned_once():
    play = Play()
    play.world.scan("HOUSE-17")
    play.wait(1_000)
    assert play.sent("qr_reader") == b"HOUSE-17\r"


def test_the_scale_speaks_ten_times_a_second_unstable_then_stable():
    play = Play(scale_noise_mg=0, scale_settle_ms=800)
    play.world.place("d")
    play.wait(1_010)
    lines = play.sent("scale").splitlines()
    assert [line[:2] for line in lines] == [b"US"] * 7 + [b"ST"] * 3
    assert lines[-1] == b"ST,+%08.2f  g" % (play.world.truth[0].mass_mg / 1_000)


def test_a_noisy_line_spoils_bytes_and_a_burst_is_random():
    play = Play()
    play.world.make_noisy("card_reader", 1_000)
    play.world.tap("0")
    play.wait(500)
    good = rdm6300_frame(CARDS[0])
    sent = play.sent("card_reader")
    frames = [sent[at : at + 14] for at in range(0, len(sent), 14)]
    assert [sum(a != b for a, b in zip(frame, good, strict=True)) for frame in frames] == [1] * 7
    play.world.noise("qr_reader", 40)
    play.wait(0)
    assert len(play.sent("qr_reader")) == 40


def test_an_unplugged_scale_is_silent_and_zeroes_itself_when_it_is_back():
    play = Play()
    play.world.place("aa")
    play.world.plug("scale", present=False)
    play.wait(2_000)
    assert play.sent("scale") == b""
    play.world.plug("scale", present=True)
    play.world.plug("scale", present=True)
    play.wait(1_000)
    assert play.world.snapshot()["shelf"]["shown_mg"] == pytest.approx(0, abs=20)
    assert [type(output).__name__ for output in play.outputs].count("PortChanged") == 2


def test_heat_reaches_the_sensors_file():
    play = Play()
    play.world.heat(40_000, 10_000)
    play.wait(5_000)
    play.world.break_sensor("missing")
    play.wait(1_000)
    texts = [output.text for output in play.outputs if isinstance(output, W1Changed)]
    assert texts[4].endswith("t=30500\n")
    assert texts[5] is None
    assert play.world.w1_text() is None


def test_a_snapshot_is_json_and_shows_the_fall():
    play = Play()
    play.out("flap_lock", 1)
    play.world.drop("aa")
    seen = []
    for _ in range(100):
        play.wait(10)
        seen.append(json.loads(json.dumps(play.world.snapshot())))
    heights = [shot["falling"]["y"] for shot in seen if shot["falling"]]
    assert heights == sorted(heights)
    assert 0 <= heights[0] < 0.2 < 0.8 < heights[-1] <= 1
    assert any(shot["beams"]["a"] for shot in seen)
    assert seen[-1]["truth"] == {
        "asked": 1, "fell": 1, "given_up": 0, "stored": 0, "returned": 0, "on_shelf": 1, "gone": 0,
    }  # fmt: skip


def test_a_quicker_bin_differs_in_gate_and_scale_only():
    play = Play()
    quick = play.world.params.at_speed(6)
    assert (quick.gate_travel_ms, quick.scale_settle_ms) == (117, 133)
    assert 2 * quick.gate_travel_ms * quick.home_window_per_mille / 1_000 >= 59, "home can still be caught"
    assert (quick.flap_shut_ms, quick.speed_min_mm_s) == (play.world.params.flap_shut_ms, 1_700)
    assert play.world.params.at_speed(1) == play.world.params
