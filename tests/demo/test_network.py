from __future__ import annotations

import asyncio
import contextlib

import pytest

from kiosk.simulator.demo.network import Network


@contextlib.asynccontextmanager
async def an_echo():
    async def answer(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def test_the_relay_carries_bytes_both_ways():
    async def play():
        async with an_echo() as port:
            network = Network(port)
            await network.restore()
            reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await network.cut()

    asyncio.run(play())


def test_a_cut_drops_what_is_open_and_refuses_what_comes():
    async def play():
        async with an_echo() as port:
            network = Network(port)
            await network.restore()
            reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
            writer.write(b"hello")
            await reader.readexactly(5)
            await network.cut()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", network.port)
            writer.close()
            assert not network.up

    asyncio.run(play())


def test_a_restored_cable_is_in_the_same_socket():
    async def play():
        async with an_echo() as port:
            network = Network(port)
            await network.restore()
            before = network.port
            await network.cut()
            await network.restore()
            assert network.port == before
            reader, writer = await asyncio.open_connection("127.0.0.1", before)
            writer.write(b"again")
            assert await reader.readexactly(5) == b"again"
            writer.close()
            await network.cut()

    asyncio.run(play())
