"""The way of one item through the chute: when it cuts which beam."""

from __future__ import annotations

import math
from dataclasses import dataclass

G_MM_S2 = 9_807
METAL_BELOW_A_UM = 15_000
METAL_REACH_UM = 4_000
"""Sensing distance of an LJ12A3."""
SHELF_BELOW_B_UM = 100_000
"""More than the longest item, so that nothing that lies on the shelf blocks beam B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Nanoseconds from the moment at which the item starts to move until each thing happens to it.

    A fall ends where the item lies on the shelf, a rise where it is clear of beam A.
    """

    a_down_ns: int
    a_up_ns: int
    b_down_ns: int
    b_up_ns: int
    metal_on_ns: int
    metal_off_ns: int
    end_ns: int
    start_um: int
    """Height above beam A at the start; negative is below it."""
    speed_mm_s: int
    upward: bool

    def depth_um(self, elapsed_ns: int) -> int:
        """How far below beam A the leading end is."""
        s = elapsed_ns / 1e9
        if self.upward:
            return round(-self.start_um - self.speed_mm_s * s * 1_000)
        return round(G_MM_S2 * s * s / 2 * 1_000 - self.start_um)


def falling(*, extent_um: int, speed_mm_s: int, gap_um: int) -> Way:
    """Free fall from rest, such that the leading end passes beam A at ``speed_mm_s``."""
    start_um = speed_mm_s**2 * 1_000 // (2 * G_MM_S2)

    def reaches(depth_um: int) -> int:
        return round(math.sqrt(2 * (start_um + depth_um) / 1_000 / G_MM_S2) * 1e9)

    return Way(
        a_down_ns=reaches(0),
        a_up_ns=reaches(extent_um),
        b_down_ns=reaches(gap_um),
        b_up_ns=reaches(gap_um + extent_um),
        metal_on_ns=reaches(METAL_BELOW_A_UM - METAL_REACH_UM),
        metal_off_ns=reaches(METAL_BELOW_A_UM + METAL_REACH_UM + extent_um),
        end_ns=reaches(gap_um + max(SHELF_BELOW_B_UM, extent_um)),
        start_um=start_um,
        speed_mm_s=speed_mm_s,
        upward=False,
    )


def rising(*, extent_um: int, speed_mm_s: int, gap_um: int) -> Way:
    """Pulled up from the shelf at an even speed: through beam B first."""
    below_b_um = max(SHELF_BELOW_B_UM - extent_um, 1_000)

    def climbs(way_um: int) -> int:
        return way_um * 1_000_000 // speed_mm_s

    to_a_um = below_b_um + gap_um
    return Way(
        b_down_ns=climbs(below_b_um),
        b_up_ns=climbs(below_b_um + extent_um),
        a_down_ns=climbs(to_a_um),
        a_up_ns=climbs(to_a_um + extent_um),
        metal_on_ns=climbs(to_a_um - METAL_BELOW_A_UM - METAL_REACH_UM),
        metal_off_ns=climbs(to_a_um - METAL_BELOW_A_UM + METAL_REACH_UM + extent_um),
        end_ns=climbs(to_a_um + extent_um),
        start_um=-to_a_um,
        speed_mm_s=speed_mm_s,
        upward=True,
    )
