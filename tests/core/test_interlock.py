from __future__ import annotations

import pytest

from kiosk.core.interlock import Temperature, all_known, clear_refused, hazards, plausible, stale_sensors


def readings(milli_celsius: int | None, at_ms: int = 0) -> dict[str, Temperature]:
    return {"bin": Temperature(milli_celsius=milli_celsius, at_ms=at_ms)}


@pytest.mark.parametrize(
    ("milli_celsius", "believed"), [(-55_001, False), (-55_000, True), (125_000, True), (125_001, False)]
)
def test_only_what_the_sensor_can_measure_is_believed(milli_celsius: int, believed: bool) -> None:
    assert plausible(milli_celsius) is believed


def test_a_sensor_is_stale_only_after_its_time() -> None:
    assert stale_sensors(readings(20_000), now_ms=10_000, stale_ms=10_000) == []
    assert stale_sensors(readings(20_000), now_ms=10_001, stale_ms=10_000) == ["bin"]


def test_nothing_is_known_through_warm_up_nor_after_silence() -> None:
    assert all_known(readings(20_000), now_ms=0, stale_ms=10)
    assert not all_known(readings(None), now_ms=0, stale_ms=10)
    assert not all_known(readings(20_000), now_ms=11, stale_ms=10)


@pytest.mark.parametrize(
    ("milli_celsius", "raised"),
    [(None, {}), (59_999, {}), (60_000, {"heat": "bin 60.0 °C, limit 60.0 °C"})],
)
def test_the_limit_itself_is_a_hazard_and_silence_is_not(milli_celsius: int | None, raised: dict[str, str]) -> None:
    assert hazards(readings(milli_celsius), hazard_milli_celsius=60_000) == raised


@pytest.mark.parametrize(
    ("milli_celsius", "now_ms", "why"),
    [
        (20_000, 0, None),
        (44_999, 10, None),
        (45_000, 0, "wait until it is below 45.0 °C"),
        (None, 0, "has not reported yet"),
        (20_000, 11, "gives no believable reading"),
    ],
)
def test_a_latch_is_cleared_only_when_every_input_is_good(
    milli_celsius: int | None, now_ms: int, why: str | None
) -> None:
    refused = clear_refused(readings(milli_celsius), now_ms=now_ms, stale_ms=10, clear_milli_celsius=45_000)
    assert refused is None if why is None else refused is not None and why in refused
