"""What every open page is told: the newest of each kind at once, then changes as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec

BACKLOG_MAX = 2_000
"""A page that reads this slowly is told to begin anew."""
LINES_KEPT = 40
STATES = ("world", "power", "view", "counts", "ledger", "torture", "mode", "armed", "resumes")


class Hub:
    """Single-threaded: everything runs in the parent's event loop."""

    def __init__(self) -> None:
        self._latest: dict[str, bytes] = {}
        self._lines: deque[bytes] = deque(maxlen=LINES_KEPT)
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._closed = False

    def say(self, kind: str, value: Any) -> None:
        """``kind`` is one of :data:`STATES`, of which a new page gets the latest, or something that passes."""
        message = b"data: " + msgspec.json.encode({"kind": kind, "value": value}) + b"\n\n"
        if kind in STATES:
            if self._latest.get(kind) == message:
                return
            self._latest[kind] = message
        elif kind == "line":
            self._lines.append(message)
        for queue in list(self._queues):
            if queue.qsize() > BACKLOG_MAX:
                self._queues.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(message)

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events for one page, until :meth:`close`."""
        if self._closed:
            return
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for message in (*self._latest.values(), *self._lines):
            queue.put_nowait(message)
        self._queues.add(queue)
        try:
            yield b"retry: 1000\n\n"
            while True:
                news = await queue.get()
                if news is None:
                    return
                yield news
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        self.say("ended", True)
        self._closed = True
        for queue in self._queues:
            queue.put_nowait(None)
