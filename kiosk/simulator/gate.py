"""The gate's motor, its end stops and its home switch."""

from __future__ import annotations

from typing import Literal

Direction = Literal[-1, 0, 1]
"""Towards store, stopped, towards return."""


class Gate:
    """A motor of one speed between two end stops that stop it in hardware.

    The position is counted in nanoseconds of travel from home: negative towards store. An end stop is pressed when the
    gate reaches it and released after a fiftieth of the way back; home is pressed within ``home_ns`` of 0.
    """

    def __init__(self, *, travel_ns: int, home_ns: int) -> None:
        self.travel_ns = travel_ns
        self._home_ns = home_ns
        self._slack_ns = travel_ns // 50
        self._at_ns = 0
        self._since_ns = 0
        self.direction: Direction = 0
        self.jammed = False
        self.store = False
        self.home = True
        self.returned = False

    @property
    def moving(self) -> bool:
        return self._velocity() != 0

    def position_ns(self, now_ns: int) -> int:
        moved = self._at_ns + self._velocity() * (now_ns - self._since_ns)
        return max(-self.travel_ns, min(self.travel_ns, moved))

    def drive(self, direction: Direction, now_ns: int) -> None:
        self.settle(now_ns)
        self.direction = direction

    def jam(self, jammed: bool, now_ns: int) -> None:
        """A jammed gate does not move, however long its motor is powered."""
        self.settle(now_ns)
        self.jammed = jammed

    def next_ns(self) -> int | None:
        """When the next switch will change, if nothing else happens."""
        velocity = self._velocity()
        if velocity == 0:
            return None
        away_ns, towards_ns = self.travel_ns - self._slack_ns, self._home_ns
        marks = (-away_ns, -towards_ns, towards_ns + 1, self.travel_ns)
        ahead = self._at_ns * velocity
        return self._since_ns + next(mark for mark in marks if mark > ahead) - ahead

    def settle(self, now_ns: int) -> None:
        """Bring position and switches up to ``now_ns``."""
        self._at_ns = self.position_ns(now_ns)
        self._since_ns = now_ns
        released_ns = self.travel_ns - self._slack_ns
        self.store = self._at_ns == -self.travel_ns or (self.store and self._at_ns < -released_ns)
        self.returned = self._at_ns == self.travel_ns or (self.returned and self._at_ns > released_ns)
        self.home = abs(self._at_ns) <= self._home_ns

    def _velocity(self) -> Direction:
        if self.jammed or self._at_ns == self.direction * self.travel_ns:
            return 0
        return self.direction
