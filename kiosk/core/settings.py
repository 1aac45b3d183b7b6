"""Times, limits and choices of the main job, constant while the daemon runs; ``kiosk.config`` says which may be set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in milliseconds of monotonic time, masses in milligrams, temperatures in thousandths of a degree."""

    language: Literal["zh", "en"] = "zh"
    return_way: bool = True
    """Whether the gate can give refused things back; without, it keeps them uncredited."""

    session_idle_ms: int = 30_000
    """How long the flap waits for the next battery: an old hand in winter gloves needs time."""
    farewell_ms: int = 4_000
    close_settle_ms: int = 150
    """Flap closed and beams clear for this long before weighing: longer than the 60 ms that end a passage."""
    flap_close_ms: int = 30_000
    """Not sensed closed for this long after locking is a fault."""
    flap_hint_ms: int = 5_000
    weigh_settle_ms: int = 300
    weigh_ms: int = 8_000
    """No two equal stable readings within this time: refused as unweighed."""
    tip_ms: int = 15_000
    """For the whole tip; the driver's own run-time limit is shorter."""
    mass_gone_ms: int = 5_000
    mass_stale_ms: int = 3_000
    """A scale that says nothing for this long is lost, and may have zeroed itself when it speaks again."""
    notice_ms: int = 15_000

    stable_within_mg: int = 200
    """Two stable readings this close are one settled mass (twice the 0.1 g division of common bench scales)."""
    shelf_empty_mg: int = 900
    """The shelf counts as empty within this of its tare: less than the lightest coin cell that is credited."""

    hazard_milli_celsius: int = 60_000
    """Upper storage limit on most cell makers' data sheets; a used cell above it in a bin is a fire beginning."""
    clear_milli_celsius: int = 45_000
    temperature_stale_ms: int = 10_000

    cap_points: int = 100
    cap_window_ms: int = 24 * 3600 * 1000
    over_cap: Literal["unpaid", "refuse"] = "unpaid"

    temperature_sensors: tuple[str, ...] = ("bin",)
