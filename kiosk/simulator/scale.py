"""The scale under the weigh shelf."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from kiosk.simulator.devices_far_end import AND_OVERLOAD, and_line

STABLE_NOISE_MG = 30
"""A scale whose readings jump more than this never calls them stable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the scale says; ``mass_mg`` is null on overload."""

    mass_mg: int | None
    stable: bool

    @property
    def line(self) -> bytes:
        return AND_OVERLOAD if self.mass_mg is None else and_line(self.mass_mg, stable=self.stable)


class Scale:
    """Readings swing towards a new load, unstable until they have settled; zero is what lay there at power-on."""

    def __init__(self, rng: Random, *, settle_ns: int, noise_mg: int, capacity_mg: int, now_ns: int) -> None:
        self._rng = rng
        self._settle_ns = settle_ns
        self._capacity_mg = capacity_mg
        self._load_mg = 0
        self._before_mg = 0
        self._loaded_ns = now_ns - settle_ns
        self._zero_mg = 0
        self._drift_mg = 0.0
        self._drift_since_ns = now_ns
        self.noise_mg = noise_mg
        self.drift_mg_s = 0

    def load(self, load_mg: int, now_ns: int) -> None:
        if load_mg != self._load_mg:
            self._before_mg = self._pressed_mg(now_ns)
            self._load_mg = load_mg
            self._loaded_ns = now_ns

    def power_on(self, now_ns: int) -> None:
        """Scales zero themselves with whatever lies on them."""
        self.drift(self.drift_mg_s, now_ns)
        self._drift_mg = 0
        self._zero_mg = self._load_mg
        self._loaded_ns = now_ns - self._settle_ns

    def drift(self, mg_s: int, now_ns: int) -> None:
        """The zero point creeps by ``mg_s`` from now on."""
        self._drift_mg = self._drifted_mg(now_ns)
        self._drift_since_ns = now_ns
        self.drift_mg_s = mg_s

    def read(self, now_ns: int) -> Shown:
        pressed_mg = self._pressed_mg(now_ns)
        settled = now_ns - self._loaded_ns >= self._settle_ns
        stable = settled and self.noise_mg <= STABLE_NOISE_MG
        if pressed_mg > self._capacity_mg:
            return Shown(mass_mg=None, stable=stable)
        noise_mg = self._rng.gauss(0, self.noise_mg)
        shown_mg = round((pressed_mg - self._zero_mg + self._drifted_mg(now_ns) + noise_mg) / 10) * 10
        return Shown(mass_mg=shown_mg, stable=stable)

    def _pressed_mg(self, now_ns: int) -> int:
        elapsed_ns = now_ns - self._loaded_ns
        if elapsed_ns >= self._settle_ns:
            return self._load_mg
        x = elapsed_ns / self._settle_ns
        return self._load_mg + round((self._before_mg - self._load_mg) * math.exp(-5 * x) * math.cos(8 * math.pi * x))

    def _drifted_mg(self, now_ns: int) -> float:
        return self._drift_mg + self.drift_mg_s * (now_ns - self._drift_since_ns) / 1e9
