"""Virtual time: one heap of things to come."""

from __future__ import annotations

import heapq
from collections.abc import Callable

MS = 1_000_000
"""Nanoseconds in a millisecond."""


class Timers:
    """Calls at integer nanoseconds of the world's clock; equal times in the order asked for."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._asked = 0

    def after(self, delay_ms: float, do: Callable[[], None]) -> None:
        self._asked += 1
        heapq.heappush(self._heap, (self.now_ns + round(delay_ms * MS), self._asked, do))

    def next_ns(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def due(self) -> Callable[[], None] | None:
        """The next call whose time has come."""
        if self._heap and self._heap[0][0] <= self.now_ns:
            return heapq.heappop(self._heap)[2]
        return None
