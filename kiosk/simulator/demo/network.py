"""The network between bin and server: a relay that can be cut like a cable."""

from __future__ import annotations

import asyncio
import contextlib

CHUNK_BYTES = 65_536


class Network:
    """Relays ``port`` to ``server_port``, both on loopback. Cut, it refuses and drops connections."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def up(self) -> bool:
        return self._listener is not None

    async def restore(self) -> None:
        """Take connections, on the same port as before."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _relay(self, from_bin: asyncio.StreamReader, to_bin: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            to_bin.transport.abort()
            return
        self._open |= {to_bin, to_server}
        try:
            await asyncio.gather(_pump(from_bin, to_server), _pump(from_server, to_bin))
        finally:
            for writer in (to_bin, to_server):
                self._open.discard(writer)
                writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side is done; then the other learns of it."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
