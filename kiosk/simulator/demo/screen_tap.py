"""Records the bytes that the resident's screen is sent, whoever else looks at it, and through the daemon's deaths."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

RETRY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One view as it arrived. ``at_ns`` is CLOCK_MONOTONIC."""

    view: dict[str, Any]
    at_ns: int

    @property
    def screen(self) -> str:
        return str(self.view["screen"])

    @property
    def item_id(self) -> str | None:
        credit = self.view["credit"]
        return None if credit is None else str(credit["item_id"])

    @property
    def refused(self) -> bool:
        """The last item was not credited; when nothing is left to give back, the session simply goes on."""
        went_on = self.screen in ("accepting", "farewell") and self.view["reason"] not in (None, "card_reader")
        return self.screen == "refused" or went_on


class NotShown(RuntimeError):
    """What was waited for did not come onto the screen."""


class ScreenTap:
    """A client of the daemon's event stream with its own reading of the format; raw bytes go to ``file``."""

    def __init__(self, port: int, file: Path, on_view: Callable[[Shown], None]) -> None:
        self._port = port
        self._file = file
        self._on_view = on_view
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self.latest: Shown | None = None
        """Null while no daemon is connected."""
        self.connections = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def until(self, wanted: Callable[[Shown], bool], within_s: float, what: str) -> Shown:
        """The first view, from the present one on, that is ``wanted``. Raises :class:`NotShown` with ``what``."""
        try:
            async with asyncio.timeout(within_s), self._news:
                while self.latest is None or not wanted(self.latest):
                    await self._news.wait()
                return self.latest
        except TimeoutError as error:
            shows = self.latest.view if self.latest else "nothing"
            raise NotShown(f"the screen did not say {what} within {within_s:.0f} s; it shows {shows}") from error

    async def press_done(self) -> None:
        """Touch "done" as the page does: with the token that it was served with."""
        page = await self._ask("GET", "/")
        found = re.search(rb'<meta name="kiosk-token" content="([^"]+)">', page)
        token = found[1].decode() if found else ""
        origin = f"http://127.0.0.1:{self._port}"
        await self._ask("POST", "/done", f"Origin: {origin}\r\nKiosk-Token: {token}\r\n")

    async def _ask(self, method: str, path: str, headers: str = "") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            head = f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{self._port}\r\n{headers}Content-Length: 0\r\n\r\n"
            writer.write(head.encode())
            return await reader.read()
        finally:
            writer.close()

    async def _run(self) -> None:
        with self._file.open("ab") as file:
            while True:
                with contextlib.suppress(OSError):
                    await self._listen(file.write)
                await self._now(None)
                await asyncio.sleep(RETRY_S)

    async def _listen(self, keep: Callable[[bytes], object]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            # HTTP/1.0: the stream ends with the connection and is not chunked.
            writer.write(f"GET /events HTTP/1.0\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
            self.connections += 1
            while line := await reader.readline():
                keep(line)
                # Only views are objects; the heartbeat's data is a number.
                if line.startswith(b"data: {"):
                    view = msgspec.json.decode(line[6:], type=dict[str, Any])
                    await self._now(Shown(view=view, at_ns=time.monotonic_ns()))
        finally:
            writer.close()

    async def _now(self, shown: Shown | None) -> None:
        if shown is not None:
            self._on_view(shown)
        async with self._news:
            self.latest = shown
            self._news.notify_all()
