"""The machine's clocks: a true one for the server, a monotonic one per boot, and a wall clock that may say anything."""

from __future__ import annotations

from sync.records import Stamp
from tests.simulation.timers import MS, Timers

EPOCH_MS = 1_790_000_000_000
"""Unix time at which every simulation begins."""
YEAR_MS = 365 * 24 * 3_600_000
FIRMWARE_MS = 8_000
"""From power to this daemon."""


class Clock:
    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._boot = 0
        self.boot_ns = 0
        self.wall_off_ms = 0
        self.trusted = True

    def boot(self) -> None:
        """The machine starts: monotonic time begins anew, under a new name."""
        self._boot += 1
        self.boot_ns = self._timers.now_ns - FIRMWARE_MS * MS

    def true_ms(self) -> int:
        """What the server's clock says."""
        return EPOCH_MS + self._timers.now_ns // MS

    def mono_ns(self) -> int:
        return self._timers.now_ns - self.boot_ns

    def mono_ms(self) -> int:
        return self.mono_ns() // MS

    def stamp(self) -> Stamp:
        wall_ms = self.true_ms() + self.wall_off_ms if self.trusted else None
        return Stamp(
            boot_id=f"boot-{self._boot}",
            mono_ms=self.mono_ms(),
            wall_ms=wall_ms,
            clock="trusted" if self.trusted else "unsure",
        )
