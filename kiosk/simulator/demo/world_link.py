"""The parent's two connections to the world: one to play fate with, one to watch what it did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

LINE_BYTES_MAX = 1 << 24

Event = dict[str, Any]
Snapshot = dict[str, Any]


class WorldRefused(ValueError):
    """The world says that this cannot be done."""


class WorldLink:
    """``on_event`` and ``on_snapshot`` are called as the world reports; both must return at once."""

    def __init__(
        self, socket_path: Path, on_event: Callable[[Event], None], on_snapshot: Callable[[Snapshot], None]
    ) -> None:
        self._path = socket_path
        self._on_event = on_event
        self._on_snapshot = on_snapshot
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.latest: Snapshot = {}

    async def connect(self) -> None:
        reader, writer = await self._open()
        self._streams = reader, writer
        watch_reader, watch_writer = await self._open()
        watch_writer.write(b'{"do":"watch"}\n')
        answer = msgspec.json.decode(await watch_reader.readline(), type=dict[str, Any])
        self._see(answer["snapshot"])
        self._watching = asyncio.create_task(self._watch(watch_reader, watch_writer))

    async def close(self) -> None:
        if self._watching:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        if self._streams:
            self._streams[1].close()
        self._streams = self._watching = None

    async def do(self, command: str, **fields: Any) -> dict[str, Any]:
        """One command and its answer. Raises :class:`WorldRefused`, ConnectionError."""
        # Whoever asks may be cancelled; the answer must be read all the same, or the next one would get it.
        line = await asyncio.shield(self._exchange(msgspec.json.encode({"do": command, **fields}) + b"\n"))
        if not line:
            raise ConnectionError("the world hung up")
        answer = msgspec.json.decode(line, type=dict[str, Any])
        if not answer["ok"]:
            raise WorldRefused(answer["error"])
        return answer

    async def _exchange(self, line: bytes) -> bytes:
        async with self._turn:
            if self._streams is None:
                raise ConnectionError("the world is not there")
            reader, writer = self._streams
            writer.write(line)
            return await reader.readline()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self._path), limit=LINE_BYTES_MAX)

    def _see(self, snapshot: Snapshot) -> None:
        self.latest = snapshot
        self._on_snapshot(snapshot)

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                told = msgspec.json.decode(line, type=dict[str, Any])
                if "snapshot" in told:
                    self._see(told["snapshot"])
                else:
                    self._on_event(told)
        except ConnectionError:
            pass  # the world's own end is reported by whoever watches its process
        finally:
            writer.close()
