"""The flap: a spring, a lock that needs power to open, and a reed that says closed."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.simulator.timeline import MS, Timeline
from kiosk.simulator.wiring import Inputs


class Flap:
    """``on_usable()`` is called when somebody who wants to push it may try."""

    def __init__(
        self, timeline: Timeline, inputs: Inputs, *, open_ms: int, shut_ms: int, on_usable: Callable[[], None]
    ) -> None:
        self._timeline = timeline
        self._inputs = inputs
        self._open_ns = open_ms * MS
        self._shut_ns = shut_ms * MS
        self._on_usable = on_usable
        self._hands = 0
        self._swing = 0
        self._swing_from = 0.0
        self._swing_to = 0.0
        self._swing_start_ns = timeline.now_ns
        self.closed = True
        self.stuck = False
        self.unlocked = False

    @property
    def usable(self) -> bool:
        """The lock holds a closed flap only."""
        return self.unlocked or not self.closed

    @property
    def angle(self) -> float:
        """0 closed, 1 open."""
        opening = self._swing_to > self._swing_from
        full_ns = self._open_ns if opening else self._shut_ns
        share = min(1.0, (self._timeline.now_ns - self._swing_start_ns) / full_ns)
        return self._swing_from + (self._swing_to - self._swing_from) * share

    def energise(self, on: bool) -> None:
        self.unlocked = on
        if on:
            self._on_usable()

    def push(self) -> None:
        """A hand opens it, or holds it open; each push is followed by one :meth:`let_go`."""
        self._hands += 1
        self._open()

    def let_go(self) -> None:
        self._hands -= 1
        self._spring()

    def stick(self, stuck: bool, *, open_now: bool) -> None:
        """Its spring fails: once open it stays open. ``open_now`` wedges it open at once, locked or not."""
        self.stuck = stuck
        if stuck and open_now:
            self._open()
            self._on_usable()
        self._spring()

    def _open(self) -> None:
        self._turn(1.0)
        self.closed = False
        self._inputs.set("flap_closed", False)

    def _spring(self) -> None:
        if self._hands or self.stuck or self.closed:
            return
        self._turn(0.0)
        self._timeline.after(self._shut_ns, self._shut, self._swing)

    def _turn(self, to: float) -> None:
        self._swing_from, self._swing_to = self.angle, to
        self._swing_start_ns = self._timeline.now_ns
        self._swing += 1

    def _shut(self, swing: int) -> None:
        if swing == self._swing:
            self.closed = True
            self._inputs.set("flap_closed", True)
