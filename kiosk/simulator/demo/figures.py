"""What the page's figures are made of: asked of the daemon and of the server, again and again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from kiosk.simulator.demo.hub import Hub
from kiosk.simulator.demo.ledger_rows import ledger_of
from kiosk.simulator.demo.rig import Rig
from kiosk.simulator.demo.story import Story

STATUS_S = 0.15
LEDGER_S = 0.2
LEDGER_ROWS = 60
FIELDS = ("deposits", "server", "hazards", "faults", "closed_because", "tare_mg")


class Figures:
    def __init__(self, rig: Rig, hub: Hub, story: Story) -> None:
        self._rig = rig
        self._hub = hub
        self._story = story
        self._last: dict[str, Any] = {}

    async def poll_daemon(self) -> None:
        """Counts and connection; while the daemon is dead or starts, its last words stay, marked as such."""
        while True:
            status = await self._rig.ask_daemon({"do": "status"})
            opened = status is not None and bool(status.get("ledger_open"))
            if status is not None and opened:
                self._last = {name: status[name] for name in FIELDS}
                server = status["server"]
                self._story.counts(status["deposits"], online=server["online"], trouble=server["trouble"])
            if self._last:
                # A new daemon does not know yet what lies on its shelf.
                tare = {} if opened else {"tare_mg": None}
                state = {"daemon": self._daemon(opened), "network": self._rig.network.up}
                self._hub.say("counts", self._last | tare | state)
            self._story.passed(time.monotonic_ns())
            await asyncio.sleep(STATUS_S)

    async def poll_server(self) -> None:
        while True:
            overview = await self._rig.server_ledger(LEDGER_ROWS)
            if overview is not None:
                self._hub.say("ledger", ledger_of(overview))
            await asyncio.sleep(LEDGER_S)

    def _daemon(self, opened: bool) -> str:
        if self._rig.starting:
            return "starts"
        if not self._rig.daemon_alive:
            return "dead"
        return "runs" if opened and not self._story.starting else "starts"
