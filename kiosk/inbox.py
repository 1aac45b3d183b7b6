"""The one way into the loop: bounded, and never an exception for whoever puts something in."""

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
    """

    def __init__(self, events_max: int = INBOX_EVENTS_MAX) -> None:
        self._events: queue.Queue[T] = queue.Queue(events_max)
        self._lossy: set[str] = set()
        self._lock = threading.Lock()

    def put(self, source: str, event: T) -> None:
        """Queue an event; never blocks, never raises."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            with self._lock:
                self._lossy.add(source)

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
