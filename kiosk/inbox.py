"""The one way into the loop: bounded for what can be read again, and never an exception for who puts it in."""

from __future__ import annotations

import queue
import threading
from typing import Generic, TypeVar

T = TypeVar("T")

INBOX_EVENTS_MAX = 256
"""Some seconds of everything at once; a loop that is behind by more must start from the levels again."""


class Inbox(Generic[T]):
    """Events from every thread. A source that finds it full is remembered as lossy instead of being stopped.

    An exception in a GPIO callback would silence every pin, and a blocked serial reader would lose bytes unseen.
    Answers to what the loop itself asked for are never dropped: there are no more of them than requests, and a lost
    one would leave a deposit committed and never shown.
    """

    def __init__(self, events_max: int = INBOX_EVENTS_MAX) -> None:
        self._events: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._events_max = events_max
        self._lossy: set[str] = set()
        self._lock = threading.Lock()

    def put(self, source: str, event: T) -> None:
        """Queue what a device or a person did; never blocks, never raises."""
        if self._events.qsize() < self._events_max:
            self._events.put(event)
            return
        with self._lock:
            self._lossy.add(source)

    def answer(self, event: T) -> None:
        """Queue the answer to a request of the loop; always taken."""
        self._events.put(event)

    def get(self, timeout_s: float) -> T | None:
        """The next event, or None when there was none in time."""
        try:
            return self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait()
        except queue.Empty:
            return None

    def lossy_sources(self) -> list[str]:
        """Sources that lost events since the last call."""
        if not self._lossy:
            return []
        with self._lock:
            sources, self._lossy = sorted(self._lossy), set()
        return sources
