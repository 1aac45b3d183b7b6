"""The figures are those of the hardware facts: how long each cell blocks a beam at 1.7 to 2.4 m/s."""

import pytest

from kiosk.simulator.fall import falling, rising

GAP_UM = 45_000
MS = 1_000_000


@pytest.mark.parametrize(
    ("extent_um", "slow_ms", "fast_ms"),
    [(50_500, 29, 20), (10_500, 6.1, 4.3), (5_400, 3.2, 2.2), (3_200, 1.9, 1.3)],
    ids=["aa lengthwise", "aaa across", "lr44", "cr2032"],
)
def test_a_beam_is_blocked_as_long_as_was_measured(extent_um, slow_ms, fast_ms):
    slow = falling(extent_um=extent_um, speed_mm_s=1_700, gap_um=GAP_UM)
    fast = falling(extent_um=extent_um, speed_mm_s=2_400, gap_um=GAP_UM)
    assert slow.a_up_ns - slow.a_down_ns == pytest.approx(slow_ms * MS, rel=0.06)
    assert fast.a_up_ns - fast.a_down_ns == pytest.approx(fast_ms * MS, rel=0.06)
    assert slow.b_up_ns - slow.b_down_ns < slow.a_up_ns - slow.a_down_ns, "it has become faster"


def test_a_long_item_reaches_b_before_it_has_left_a_and_a_short_one_does_not():
    long = falling(extent_um=61_500, speed_mm_s=2_000, gap_um=GAP_UM)
    short = falling(extent_um=3_200, speed_mm_s=2_000, gap_um=GAP_UM)
    assert long.a_down_ns < long.b_down_ns < long.a_up_ns < long.b_up_ns <= long.end_ns
    assert short.a_down_ns < short.a_up_ns < short.b_down_ns < short.b_up_ns < short.end_ns


@pytest.mark.parametrize("extent_um", [3_200, 50_500, 65_100])
def test_a_passage_takes_no_longer_than_a_fall_may(extent_um):
    way = falling(extent_um=extent_um, speed_mm_s=1_700, gap_um=GAP_UM)
    assert way.b_up_ns - way.a_down_ns < 150 * MS


@pytest.mark.parametrize("extent_um", [3_200, 50_500, 65_100])
def test_what_is_pulled_up_cuts_b_first_and_leaves_a_last(extent_um):
    way = rising(extent_um=extent_um, speed_mm_s=800, gap_um=GAP_UM)
    assert 0 < way.b_down_ns < min(way.b_up_ns, way.a_down_ns)
    assert max(way.b_up_ns, way.a_down_ns) < way.a_up_ns == way.end_ns
    assert way.a_down_ns - way.b_down_ns == GAP_UM * 1_000_000 // 800


def test_depth_agrees_with_the_edges():
    way = falling(extent_um=50_500, speed_mm_s=2_000, gap_um=GAP_UM)
    assert way.depth_um(0) == -way.start_um
    assert way.depth_um(way.a_down_ns) == pytest.approx(0, abs=2)
    assert way.depth_um(way.b_down_ns) == pytest.approx(GAP_UM, abs=2)
    up = rising(extent_um=50_500, speed_mm_s=800, gap_um=GAP_UM)
    assert up.depth_um(up.b_down_ns) == pytest.approx(GAP_UM, abs=2)
    assert up.depth_um(up.a_down_ns) == pytest.approx(0, abs=2)
