from random import Random

import pytest

from kiosk.simulator.devices_far_end import AND_OVERLOAD
from kiosk.simulator.scale import Scale

S = 1_000_000_000


def scale(noise_mg=0):
    return Scale(Random(1), settle_ns=S, noise_mg=noise_mg, capacity_mg=600_000, now_ns=0)


def test_a_new_load_is_unstable_until_it_has_settled():
    it = scale()
    it.load(23_800, 10 * S)
    shown = [it.read(10 * S + tenth * S // 10) for tenth in range(11)]
    assert [reading.stable for reading in shown] == [False] * 10 + [True]
    assert shown[0].mass_mg == 0
    assert shown[-1].mass_mg == 23_800
    assert shown[-1].line == b"ST,+00023.80  g\r\n"
    assert max(reading.mass_mg for reading in shown) > 23_800, "it swings over"


def test_it_takes_whatever_lies_on_it_at_power_on_for_zero():
    it = scale()
    it.load(45_000, 0)
    it.power_on(10 * S)
    assert it.read(10 * S).mass_mg == 0
    it.load(0, 20 * S)
    assert it.read(30 * S).mass_mg == -45_000


def test_overload_is_said_as_such():
    it = scale()
    it.load(700_000, 0)
    assert it.read(2 * S).line == AND_OVERLOAD


def test_a_noisy_scale_is_never_stable():
    it = scale(noise_mg=200)
    assert not any(it.read(t * S).stable for t in range(100))


def test_drift_is_stable_and_creeps():
    it = scale()
    it.drift(100, 0)
    assert (it.read(30 * S).mass_mg, it.read(30 * S).stable) == (3_000, True)
    it.drift(0, 30 * S)
    assert it.read(90 * S).mass_mg == pytest.approx(3_000)
    it.power_on(90 * S)
    assert it.read(91 * S).mass_mg == 0
