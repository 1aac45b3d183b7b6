"""The demo to look at: plays by itself, gives way to a person, runs the torture, tells it all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kiosk.simulator.demo import hands
from kiosk.simulator.demo.children import ChildDied
from kiosk.simulator.demo.hub import Hub
from kiosk.simulator.demo.ledger_rows import ledger_of
from kiosk.simulator.demo.rig import FAST, STROLL, Rig
from kiosk.simulator.demo.scenes import Scenes
from kiosk.simulator.demo.screen_tap import NotShown, Shown
from kiosk.simulator.demo.story import Story
from kiosk.simulator.demo.torture import Outcome, Stuck, Torture
from kiosk.simulator.demo.witness import Witness
from kiosk.simulator.demo.world_link import Event, Snapshot

IDLE_S = 45.0
"""After a person's last click until the demo plays by itself again."""
DARK_S = 1.8
"""How long the power stays away: long enough to read what happened."""
STATUS_S = 0.15
LEDGER_S = 0.2
LEDGER_ROWS = 60
TORTURE_DEPOSITS, TORTURE_CUTS = 200, 20


class Show:
    """``say(line)`` prints on the terminal. :attr:`died` is done, with :class:`ChildDied`, when a process ended."""

    def __init__(self, folder: Path, seed: int, page_origins: tuple[str, ...], say: Callable[[str], None]) -> None:
        self.hub = Hub()
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._say = say
        self._seed = seed
        self._story = Story(
            self._tell, lambda step: self.hub.say("step", step), lambda fall: self.hub.say("fall", fall)
        )
        self.rig = Rig(
            folder,
            seed,
            STROLL,
            on_event=self._on_event,
            on_snapshot=self._on_snapshot,
            on_view=self._on_view,
            on_death=self._on_death,
            page_origins=page_origins,
        )
        self._witness: Witness | None = None
        self._torture: Torture | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._playing: asyncio.Task[None] | None = None
        self._clicked_at: float | None = None
        self._powering = False
        self._closing = False

    async def start(self) -> None:
        """Raises :class:`ChildDied`, OSError."""
        await self.rig.start()
        self._keep(self._poll_daemon())
        self._keep(self._poll_server())
        self._keep(self._watch_person())
        self._play()

    async def close(self) -> None:
        self._closing = True
        self.hub.close()
        tasks = [*self._tasks, *([self._playing] if self._playing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(self.rig.close(), *tasks, return_exceptions=True)

    async def click(self, name: str) -> None:
        """A person pressed that button. Raises ValueError for what cannot be done now."""
        if name != "torture" and name not in hands.BUTTONS:
            raise ValueError(f"there is no button {name!r}")
        if self._torture is not None:
            raise ValueError("the torture is running: wait for its end")
        await self._take_over()
        if name == "torture":
            if self._powering:
                raise ValueError("the power is away: wait until it is back")
            self._keep(self._run_torture())
            return
        try:
            line = await hands.act(self.rig, name)
        except (ConnectionError, NotShown) as error:
            raise ValueError(str(error)) from error
        self._tell("quiet", line or f"you: {name.replace('_', ' ')}")

    async def evidence(self, item_id: str) -> dict[str, Any] | None:
        """The bin's own record of a deposit; null while the daemon is dead."""
        return await self.rig.ask_daemon({"do": "ledger", "ask": "show", "ref": item_id})

    # --- who plays --------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        self._playing = asyncio.create_task(Scenes(self.rig).play())
        self.hub.say("mode", "auto")

    async def _take_over(self) -> None:
        self._clicked_at = time.monotonic()
        if self._playing is None:
            return
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)
        self._playing = None
        await self.rig.world.do("cut_power_at", event=None)
        self.hub.say("mode", "person")

    async def _watch_person(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            away = self._clicked_at is None or time.monotonic() - self._clicked_at > IDLE_S
            if self._playing is None and self._torture is None and not self._powering and away:
                await hands.tidy(self.rig)
                await self._clear_leftovers()
                self._tell("quiet", "nobody at the page: the demo plays by itself again")
                self._play()

    async def _clear_leftovers(self) -> None:
        """A latch is cleared as a technician would, once the bin is cool."""
        status = await self.rig.ask_daemon({"do": "status"})
        if status and status["hazards"]:
            await asyncio.sleep(hands.RAMP_MS / 1_000 + 2)
            await hands.act(self.rig, "clear_hazard")

    async def _run_torture(self) -> None:
        result: dict[str, Any] = {"deposits": TORTURE_DEPOSITS, "cuts": TORTURE_CUTS, "accepted": 0, "cut": 0}
        self._witness = witness = Witness()

        def progress(accepted: int, cut: int) -> None:
            result.update(accepted=accepted, cut=cut)
            self.hub.say("torture", result)

        self._torture = Torture(
            self.rig,
            witness,
            seed=self._seed,
            deposits=TORTURE_DEPOSITS,
            cuts=TORTURE_CUTS,
            on_progress=progress,
        )
        self._tell("plain", f"torture: {TORTURE_DEPOSITS} deposits, {TORTURE_CUTS} power cuts")
        self.hub.say("mode", "torture")
        self.hub.say("torture", result)
        try:
            await hands.tidy(self.rig)
            await self.rig.set_pace(FAST)
            outcome = await self._torture.run()
            self._torture_ended(result, outcome)
        except (NotShown, Stuck, ConnectionError) as error:
            self.hub.say("torture", result | {"stuck": str(error)})
            self._tell("bad", f"torture: {error}")
        await self.rig.set_pace(STROLL)
        self._torture = self._witness = None
        self._clicked_at = time.monotonic()
        self.hub.say("mode", "person")

    def _torture_ended(self, result: dict[str, Any], outcome: Outcome) -> None:
        lost, doubled = len(outcome.verdict.lost), len(outcome.verdict.duplicates)
        early = len(outcome.verdict.shown_not_kept)
        self.hub.say("torture", result | {"lost": lost, "doubled": doubled, "early": early, "ok": outcome.ok})
        told = f"torture: {outcome.accepted} accepted, {outcome.power_cuts} power cuts; lost {lost}, doubled {doubled}"
        self._tell("good" if outcome.ok else "bad", told)
        for problem in (*outcome.verdict.problems, *outcome.missing):
            self._tell("bad", problem)

    # --- what happens -----------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        self._story.event(event)
        if self._witness is not None:
            self._witness.event(event)
        if event["event"] == "power_cut":
            if self._torture is not None:
                self._torture.power_failed()
            else:
                self._keep(self._cut_power())

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self.hub.say("world", snapshot)
        if self._witness is not None:
            self._witness.snapshot(snapshot)

    def _on_view(self, shown: Shown) -> None:
        self._story.view(shown)
        self.hub.say("view", shown.view)
        if self._witness is not None:
            self._witness.view(shown)

    def _on_death(self, message: str) -> None:
        if not self.died.done():
            self.died.set_exception(ChildDied(message))

    async def _cut_power(self) -> None:
        self._powering = True
        try:
            await self.rig.lose_power()
            self.hub.say("step", "power_cut")
            self._tell("bad", "POWER CUT after the commit, before the tip: the daemon is dead")
            await self.rig.return_power(DARK_S)
            self._tell("plain", "the power is back: a new daemon reads the ledger; the credit is in it")
        finally:
            self._powering = False

    async def _poll_daemon(self) -> None:
        """Counts and connection; while the daemon is dead its last words stay, marked as such."""
        last: dict[str, Any] = {}
        accepted = 0
        while True:
            status = await self.rig.ask_daemon({"do": "status"})
            # Accepted never shrinks: smaller figures are those of a daemon that has not opened its ledger yet.
            opened = status is not None and "deposits" in status and status["deposits"]["accepted"] >= accepted
            if status is not None and opened:
                accepted = status["deposits"]["accepted"]
                last = {name: status[name] for name in ("deposits", "server", "hazards", "faults", "closed_because")}
                server = status["server"]
                self._story.counts(status["deposits"], online=server["online"], trouble=server["trouble"])
            if last:
                alive = opened and self.rig.daemon_alive
                self.hub.say("counts", last | {"alive": alive, "network": self.rig.network.up})
            self._story.passed(time.monotonic_ns())
            await asyncio.sleep(STATUS_S)

    async def _poll_server(self) -> None:
        while True:
            overview = await self.rig.server_ledger(LEDGER_ROWS)
            if overview is not None:
                self.hub.say("ledger", ledger_of(overview))
            await asyncio.sleep(LEDGER_S)

    def _tell(self, tone: str, line: str) -> None:
        if self._closing:
            return  # what the processes say while they are being ended is no part of the story
        self._say(line)
        self.hub.say("line", {"tone": tone, "text": line})

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A mistake of the demo's own must not pass in silence.
        with contextlib.suppress(asyncio.CancelledError):
            error = task.exception()
            if error is not None and not self.died.done():
                self.died.set_exception(error)
