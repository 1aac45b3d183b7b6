"""Safety readings to open, closed or latched.

Closed heals by itself when its reason is gone. A latch stays, through restarts too, until a technician clears it on
site. A sensor that says nothing believable closes the bin but never latches it: a broken wire is no fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLAUSIBLE_MILLI_CELSIUS = (-55_000, 125_000)
"""The DS18B20's measuring range (data sheet); anything outside is a broken sensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """The last believable reading of a sensor, and when it came; null before the first."""

    milli_celsius: int | None
    at_ms: int


def plausible(milli_celsius: int) -> bool:
    return PLAUSIBLE_MILLI_CELSIUS[0] <= milli_celsius <= PLAUSIBLE_MILLI_CELSIUS[1]


def stale_sensors(temperatures: Mapping[str, Temperature], *, now_ms: int, stale_ms: int) -> list[str]:
    """Sensors that have given nothing believable for too long."""
    return [name for name, reading in temperatures.items() if now_ms - reading.at_ms > stale_ms]


def all_known(temperatures: Mapping[str, Temperature], *, now_ms: int, stale_ms: int) -> bool:
    """Whether every sensor has a fresh reading; false through warm-up."""
    return all(reading.milli_celsius is not None for reading in temperatures.values()) and not stale_sensors(
        temperatures, now_ms=now_ms, stale_ms=stale_ms
    )


def hazards(temperatures: Mapping[str, Temperature], *, hazard_milli_celsius: int) -> dict[str, str]:
    """What must latch now: hazard name to a sentence for the record."""
    hot = [
        f"{name} {reading.milli_celsius / 1000:.1f} °C, limit {hazard_milli_celsius / 1000:.1f} °C"
        for name, reading in temperatures.items()
        if reading.milli_celsius is not None and reading.milli_celsius >= hazard_milli_celsius
    ]
    return {"heat": "; ".join(hot)} if hot else {}


def clear_refused(
    temperatures: Mapping[str, Temperature], *, now_ms: int, stale_ms: int, clear_milli_celsius: int
) -> str | None:
    """Why a latch must not be cleared now; None when every input is good."""
    for name in stale_sensors(temperatures, now_ms=now_ms, stale_ms=stale_ms):
        return f"temperature sensor {name} gives no believable reading: replace or reconnect it first"
    for name, reading in temperatures.items():
        if reading.milli_celsius is None:
            return f"temperature sensor {name} has not reported yet: wait a few seconds"
        if reading.milli_celsius >= clear_milli_celsius:
            return (
                f"{name} is at {reading.milli_celsius / 1000:.1f} °C: "
                f"wait until it is below {clear_milli_celsius / 1000:.1f} °C"
            )
    return None
