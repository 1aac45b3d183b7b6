"""What the demo plays by itself: little scenes, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from kiosk.simulator.demo.hands import act, mend
from kiosk.simulator.demo.rig import Rig
from kiosk.simulator.demo.screen_tap import NotShown, Shown
from kiosk.simulator.demo.story import Tell

OPEN = ("idle", "farewell", "accepting")
DROPPING = ("closing", "weighing", "committing")
STEP_S = 30.0
BETWEEN_S = 2.0
OFFLINE_S = 3.0
TAP_AGAIN_S = 3.0
COUNTED_S = 8.0
CUT_ATTEMPTS = 3
CARDS = 16


class Scenes:
    def __init__(self, rig: Rig, tell: Tell) -> None:
        self._rig = rig
        self._tell = tell
        self._cards = count()

    async def play(self) -> None:
        """For ever, until cancelled. A scene that does not come out as planned gives way to the next one."""
        for scene in self._order():
            with contextlib.suppress(NotShown, ConnectionError, ValueError):
                await scene()
            await asyncio.sleep(BETWEEN_S)

    async def power_cut(self) -> None:
        """From any moment on: the daemon dies between commit and tip, and its successor has the credit.

        A drop under way is the one that is hit; otherwise a resident comes. Raises :class:`NotShown`, ConnectionError,
        ValueError when even that does not come to a commit.
        """
        self._tell("quiet", "armed: the power will fail after the next commit, before its tip")
        for _ in range(CUT_ATTEMPTS):
            await self._until_open_or_dropping()
            before, lives = await self._accepted(), self._rig.screen.connections
            await self._rig.world.do("cut_power_at", event="motor_on")
            try:
                await self._one_drop(lives)
            finally:
                await self._rig.world.do("cut_power_at", event=None)
            accepted = await self._accepted()
            if accepted > before:
                self._tell("good", f"the credit stands: the new daemon's ledger holds {accepted} deposits, one more")
                await self._counted()
                return
            self._tell("plain", "what lay there was refused or not committed: nothing is credited; once more")
        raise NotShown("no deposit came to its commit")

    def _order(self) -> Iterator[Callable[[], Awaitable[None]]]:
        while True:
            yield lambda: self._deposit("aa")
            yield lambda: self._deposit("c", "aaa")
            yield lambda: self._deposit("stone")
            yield lambda: self._deposit("9v")
            yield self._offline
            yield self.power_cut
            yield lambda: self._deposit("coin", "d")
            yield self._on_a_string

    async def _deposit(self, *kinds: str) -> None:
        await self._begin()
        for kind in kinds:
            await self._drop(kind)
        await self._done()

    async def _offline(self) -> None:
        self._tell("plain", await act(self._rig, "cut_network") or "")
        try:
            await self._deposit("aa", "aa")
            await asyncio.sleep(OFFLINE_S)
        finally:
            self._tell("plain", await act(self._rig, "restore_network") or "")

    async def _on_a_string(self) -> None:
        await self._begin()
        await act(self._rig, "string")
        await self._rig.screen.until(lambda shown: shown.refused, STEP_S, "that the string was seen")
        await self._until(OPEN, "that the bin is open again")
        await self._done()

    # --- the power cut ----------------------------------------------------------------------------------------------

    async def _until_open_or_dropping(self) -> None:
        """What a person left open, hot or stuck is mended; what is only starting or tipping is waited for."""
        await self._rig.screen.until(lambda shown: shown.screen != "starting", STEP_S, "that the daemon has started")
        latest = self._rig.screen.latest
        if latest is not None and latest.screen in ("closed", "hazard"):
            await mend(self._rig, self._tell)
        await self._until((*OPEN, *DROPPING), "that the bin is open")

    async def _one_drop(self, lives: int) -> None:
        """Until the power has failed and the next daemon is open. ``lives``: the screen's connections before it."""
        screen = self._rig.screen
        deadline = time.monotonic() + STEP_S
        while screen.connections == lives and self._under_way():
            if time.monotonic() > deadline:
                raise NotShown("the drop under way came to no end")
            await asyncio.sleep(0.05)
        if screen.connections == lives:
            await self._open_flap()
            await act(self._rig, "aa")
        await screen.until(
            lambda shown: screen.connections > lives and shown.screen in OPEN, STEP_S, "that the bin is open again"
        )

    def _under_way(self) -> bool:
        """Something falls, lies on the shelf or is about to be dropped; or the power is away just now."""
        shown, world = self._rig.screen.latest, self._rig.world.latest
        if shown is None or shown.screen not in OPEN:
            return True
        waits = world["waiting"] and shown.screen == "accepting"
        return bool(waits or world["falling"] or world["shelf"]["items"])

    async def _open_flap(self) -> None:
        """For whoever is identified already, else for the next card."""
        latest = self._rig.screen.latest
        if latest is not None and latest.screen == "accepting":
            return
        card = str(next(self._cards) % CARDS)
        deadline = time.monotonic() + STEP_S
        while time.monotonic() < deadline:
            await self._rig.world.do("tap", card=card)
            with contextlib.suppress(NotShown):
                await self._rig.screen.until(
                    lambda shown: shown.screen == "accepting", TAP_AGAIN_S, "that the flap is open"
                )
                await asyncio.sleep(BETWEEN_S / 2)
                return
        raise NotShown("the card was tapped and the bin did not open")

    async def _accepted(self) -> int:
        deadline = time.monotonic() + STEP_S
        while time.monotonic() < deadline:
            status = await self._rig.ask_daemon({"do": "status"})
            if status is not None and status["ledger_open"]:
                return int(status["deposits"]["accepted"])
            await asyncio.sleep(0.05)
        raise NotShown("the daemon does not answer on its control socket")

    async def _counted(self) -> None:
        if not self._rig.network.up:
            self._tell("plain", "the network is cut: the credit waits in the bin and goes up when it is back")
            return
        deadline = time.monotonic() + COUNTED_S
        while time.monotonic() < deadline:
            status = await self._rig.ask_daemon({"do": "status"})
            if status is not None and status["ledger_open"] and not status["deposits"]["pending"]:
                self._tell("good", "and the server has it, once: nothing lost, nothing doubled")
                return
            await asyncio.sleep(0.05)

    # --- steps of a scene -------------------------------------------------------------------------------------------

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
