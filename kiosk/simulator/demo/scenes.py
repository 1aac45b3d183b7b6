"""What the demo plays by itself: little scenes, again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from kiosk.simulator.demo.hands import act
from kiosk.simulator.demo.rig import Rig
from kiosk.simulator.demo.screen_tap import NotShown, Shown

OPEN = ("idle", "farewell", "accepting")
STEP_S = 30.0
BETWEEN_S = 2.0
OFFLINE_S = 3.0
CARDS = 16


class Scenes:
    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._cards = count()

    async def play(self) -> None:
        """For ever, until cancelled. A scene that does not come out as planned gives way to the next one."""
        for scene in self._order():
            with contextlib.suppress(NotShown, ConnectionError, ValueError):
                await scene()
            await asyncio.sleep(BETWEEN_S)

    def _order(self) -> Iterator[Callable[[], Awaitable[None]]]:
        while True:
            yield lambda: self._deposit("aa")
            yield lambda: self._deposit("c", "aaa")
            yield lambda: self._deposit("stone")
            yield lambda: self._deposit("9v")
            yield self._offline
            yield self._power_cut
            yield lambda: self._deposit("coin", "d")
            yield self._on_a_string

    async def _deposit(self, *kinds: str) -> None:
        await self._begin()
        for kind in kinds:
            await self._drop(kind)
        await self._done()

    async def _offline(self) -> None:
        await act(self._rig, "cut_network")
        try:
            await self._deposit("aa", "aa")
            await asyncio.sleep(OFFLINE_S)
        finally:
            await act(self._rig, "restore_network")

    async def _power_cut(self) -> None:
        """The daemon dies between commit and tip, and its successor finds the deposit in the ledger."""
        await self._begin()
        await act(self._rig, "cut_power")
        await act(self._rig, "aa")
        await self._until(("starting", "recovering"), "that the daemon is back")
        await self._until(OPEN, "that the bin is open again")

    async def _on_a_string(self) -> None:
        await self._begin()
        await act(self._rig, "string")
        await self._rig.screen.until(lambda shown: shown.refused, STEP_S, "that the string was seen")
        await self._until(OPEN, "that the bin is open again")
        await self._done()

    async def _begin(self) -> None:
        await self._until(("idle",), "that the bin is free")
        await self._rig.world.do("tap", card=str(next(self._cards) % CARDS))
        await self._until(("accepting",), "that the flap is open")
        await asyncio.sleep(BETWEEN_S / 2)

    async def _drop(self, kind: str) -> None:
        latest = self._rig.screen.latest
        known = latest.item_id if latest else None
        await act(self._rig, kind)

        def judged(shown: Shown) -> bool:
            return shown.refused or shown.item_id not in (None, known)

        await self._rig.screen.until(judged, STEP_S, "credited or refused")
        await self._until(("accepting", "farewell", "idle"), "that the tip is done")

    async def _done(self) -> None:
        latest = self._rig.screen.latest
        if latest is not None and latest.screen == "accepting":
            await asyncio.sleep(BETWEEN_S / 2)
            await self._rig.screen.press_done()

    async def _until(self, screens: tuple[str, ...], what: str) -> None:
        await self._rig.screen.until(lambda shown: shown.screen in screens, STEP_S, what)
