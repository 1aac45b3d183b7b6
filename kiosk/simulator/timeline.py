"""Things to come, in order: the world's only clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

MS = 1_000_000
"""Nanoseconds in a millisecond."""


class Timeline:
    """A queue of calls in integer nanoseconds; equal times run in the order in which they were asked for."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def after(self, delay_ns: int, do: Callable[..., None], *args: Any) -> None:
        """Call ``do(*args)`` in ``delay_ns`` from now."""
        self._asked += 1
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._asked, do, args))

    def next_ns(self) -> int | None:
        return self._queue[0][0] if self._queue else None

    def run(self, until_ns: int) -> None:
        """Call what is due, each at its own time; time never runs backwards."""
        while self._queue and self._queue[0][0] <= until_ns:
            self.now_ns, _, do, args = heapq.heappop(self._queue)
            do(*args)
        self.now_ns = max(self.now_ns, until_ns)
