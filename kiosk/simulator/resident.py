"""The people in front of the bin: they wait for the flap, push it, and let go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from kiosk.simulator.flap import Flap
from kiosk.simulator.timeline import MS, Timeline


@dataclass(eq=False, slots=True, kw_only=True)
class Visit:
    """One thing that somebody wants to do at the flap.

    ``act()`` is called with the flap held open; whoever acts calls :meth:`Residents.let_go` in the end. ``give_up()``
    is called instead if the flap was not to be opened for as long as their patience lasted.
    """

    act: Callable[[], None]
    give_up: Callable[[], None]
    hurried: bool
    """Right behind the one before, through the flap that is still open."""


class Residents:
    """One visit at a time, in the order in which they came."""

    def __init__(
        self, timeline: Timeline, flap: Flap, *, reaction_ms: int, patience_ms: int, pause_ms: int, open_ms: int
    ) -> None:
        self._timeline = timeline
        self._flap = flap
        self._reaction_ns = reaction_ms * MS
        self._patience_ns = patience_ms * MS
        self._pause_ns = pause_ms * MS
        self._open_ns = open_ms * MS
        self._queue: deque[Visit] = deque()
        self._acting = False
        self._reaching = False
        self._free_ns = timeline.now_ns

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def come(self, visit: Visit) -> None:
        self._queue.append(visit)
        self._timeline.after(self._patience_ns, self._lose_patience, visit)
        self.look()

    def look(self) -> None:
        """The lock clicked, or there is somebody new: whoever is first reaches for the flap."""
        if not self._queue or self._acting or self._reaching or not self._flap.usable:
            return
        self._reaching = True
        pause_ns = 0 if self._queue[0].hurried else max(0, self._free_ns - self._timeline.now_ns)
        self._timeline.after(max(self._reaction_ns, pause_ns), self._push)

    def let_go(self) -> None:
        """The hand is off the flap: the spring takes over, and the next in the queue may come."""
        self._acting = False
        self._free_ns = self._timeline.now_ns + self._pause_ns
        self._flap.let_go()
        self.look()

    def _push(self) -> None:
        self._reaching = False
        if self._queue and self._flap.usable:
            self._acting = True
            self._flap.push()
            self._timeline.after(self._open_ns, self._queue.popleft().act)

    def _lose_patience(self, visit: Visit) -> None:
        if visit in self._queue:
            self._queue.remove(visit)
            visit.give_up()
