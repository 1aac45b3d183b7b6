"""Monotonic time, wall time, boot id and trust: four things kept apart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sync.records import Stamp, TimeAnchor

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
STEP_MS = 2_000
"""A wall clock that moved by more than this against monotonic time has stepped, not drifted."""


class Clock:
    """The machine's clocks. Wall time is passed on only while ``synchronized_file`` exists.

    systemd-timesyncd touches /run/systemd/timesync/synchronized at its first answer after every boot
    (systemd-timesyncd.service(8)); a Pi without it starts from the time of its last shutdown.
    """

    def __init__(self, synchronized_file: Path) -> None:
        self._synchronized_file = synchronized_file
        self.boot_id = BOOT_ID_FILE.read_text().strip()

    def mono_ms(self) -> int:
        """CLOCK_MONOTONIC in milliseconds; what edges are stamped with, and what every deadline compares."""
        return time.monotonic_ns() // 1_000_000

    def stamp(self) -> Stamp:
        """Now, as well as it is known."""
        trusted = self._synchronized_file.exists()
        return Stamp(
            boot_id=self.boot_id,
            mono_ms=self.mono_ms(),
            wall_ms=time.time_ns() // 1_000_000 if trusted else None,
            clock="trusted" if trusted else "unsure",
        )


@dataclass(slots=True)
class Anchors:
    """Says when a time anchor is due: when trust arrives, and when the wall clock has stepped."""

    offset_ms: int | None = None

    def due(self, stamp: Stamp) -> TimeAnchor | None:
        if stamp.wall_ms is None:
            self.offset_ms = None
            return None
        offset_ms, before_ms = stamp.wall_ms - stamp.mono_ms, self.offset_ms
        if before_ms is not None and abs(offset_ms - before_ms) <= STEP_MS:
            return None
        self.offset_ms = offset_ms
        step_ms = None if before_ms is None else offset_ms - before_ms
        return TimeAnchor(mono_ms=stamp.mono_ms, wall_ms=stamp.wall_ms, step_ms=step_ms)
