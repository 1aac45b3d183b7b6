"""What residents throw in: sizes and masses from the data sheets of common cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

Orientation = Literal["lengthwise", "across"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of item. ``metal_per_mille``: how often the inductive sensor sees it fall."""

    mass_mg: int
    length_um: int
    across_um: int
    metal_per_mille: int
    mass_spread_per_mille: int | None = None
    """Where the kind differs by more than batteries do."""

    @property
    def volume_mm3(self) -> int:
        return self.length_um * self.across_um**2 // 1_000_000_000

    def draw_mass_mg(self, rng: Random, noise_per_mille: int) -> int:
        spread = noise_per_mille if self.mass_spread_per_mille is None else self.mass_spread_per_mille
        return self.mass_mg * (1_000 + rng.randint(-spread, spread)) // 1_000

    def draw_extent_um(self, rng: Random, orientation: Orientation | None) -> int:
        """Height of the item as it falls: a cylinder at a drawn tilt, or one of the two ends of that range."""
        if orientation == "lengthwise":
            return self.length_um
        if orientation == "across":
            return self.across_um
        tilt = rng.uniform(0, math.pi / 2)
        return round(self.length_um * math.cos(tilt) + self.across_um * math.sin(tilt))


KINDS = {
    "aa": Kind(mass_mg=23_800, length_um=50_500, across_um=14_500, metal_per_mille=985),
    "aaa": Kind(mass_mg=11_000, length_um=44_500, across_um=10_500, metal_per_mille=970),
    "c": Kind(mass_mg=69_000, length_um=50_000, across_um=26_200, metal_per_mille=995),
    "d": Kind(mass_mg=139_000, length_um=61_500, across_um=34_200, metal_per_mille=995),
    "9v": Kind(mass_mg=45_000, length_um=48_500, across_um=17_500, metal_per_mille=985),
    "18650": Kind(mass_mg=45_600, length_um=65_100, across_um=18_200, metal_per_mille=985),
    "coin": Kind(mass_mg=3_000, length_um=20_000, across_um=3_200, metal_per_mille=250),
    "stone": Kind(mass_mg=110_000, length_um=45_000, across_um=28_000, metal_per_mille=0, mass_spread_per_mille=600),
}
"""The inductive sensor misses most falling coin cells and, now and then, anything else."""
