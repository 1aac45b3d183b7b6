"""The demo to look at: plays by itself, gives way to a person, runs the torture, tells it all."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kiosk.simulator.demo import hands
from kiosk.simulator.demo.children import ChildDied
from kiosk.simulator.demo.figures import Figures
from kiosk.simulator.demo.hub import Hub
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
TORTURE_DEPOSITS, TORTURE_CUTS = 200, 20
TORTURE_S = 300
"""On a laptop."""
ENOUGH_TO_ESTIMATE = 10


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
        self._figures = Figures(self.rig, self.hub, self._story)
        self._scenes = Scenes(self.rig, self._tell)
        self._witness: Witness | None = None
        self._torture: Torture | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._playing: asyncio.Task[None] | None = None
        self._clicked_at: float | None = None
        self._armed = False
        self._daemon_lives = 0
        self._closing = False

    async def start(self) -> None:
        """Raises :class:`ChildDied`, OSError."""
        await self.rig.start()
        self._keep(self._figures.poll_daemon())
        self._keep(self._figures.poll_server())
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
        if name == "verdict_seen":
            self.hub.say("torture", {})
            return
        if name not in hands.WORDS:
            raise ValueError(f"there is no button {name!r}")
        if name == "stop_torture":
            self._stop_torture()
            return
        if self._torture is not None:
            raise ValueError("the torture is running: stop it, or wait for its end")
        if self._armed and name in ("cut_power", "torture"):
            raise ValueError("the power cut is armed already and plays by itself: wait for its end")
        was_playing = await self._take_over()
        self._tell("quiet", f"you: {hands.WORDS[name]}")
        if name == "torture":
            self._keep(self._run_torture())
        elif name == "cut_power":
            self._keep(self._arm(was_playing))
        else:
            await self._act(name)

    async def evidence(self, item_id: str) -> dict[str, Any] | None:
        """The bin's own record of a deposit or a refusal; null while the daemon is dead."""
        return await self.rig.ask_daemon({"do": "ledger", "ask": "show", "ref": item_id})

    # --- who plays --------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        self._playing = asyncio.create_task(self._scenes.play())
        self.hub.say("mode", "auto")
        self.hub.say("resumes", None)

    async def _take_over(self) -> bool:
        """From here on a person plays; whether the demo was playing by itself."""
        self._clicked_at = time.monotonic()
        if self._playing is None:
            return False
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)
        self._playing = None
        await self.rig.world.do("cut_power_at", event=None)
        self.hub.say("mode", "person")
        return True

    async def _act(self, name: str) -> None:
        try:
            line = await hands.act(self.rig, name)
        except (ConnectionError, ValueError) as error:
            self._tell("quiet", f"not now: {error}")
            raise ValueError(str(error)) from error
        if line:
            self._tell("plain", line)

    async def _arm(self, was_playing: bool) -> None:
        """The whole scene of the power cut, whatever goes on; then whoever played plays on."""
        self._armed = True
        self.hub.say("armed", True)
        try:
            await self._scenes.power_cut()
        except (NotShown, ConnectionError, ValueError) as error:
            self._tell("bad", f"the power was not cut: {error}")
        self._armed = False
        self.hub.say("armed", False)
        if was_playing:
            self._tell("quiet", "the demo plays on by itself")
            self._play()
        else:
            self._clicked_at = time.monotonic()

    async def _watch_person(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            if self._playing is not None or self._torture is not None or self._armed:
                self.hub.say("resumes", None)
                continue
            left_s = IDLE_S - (time.monotonic() - (self._clicked_at or 0.0))
            self.hub.say("resumes", max(0, math.ceil(left_s)))
            if left_s <= 0:
                self._tell("quiet", "nobody at the page: the demo plays by itself again")
                with contextlib.suppress(ConnectionError, ValueError):
                    await hands.mend(self.rig, self._tell)
                await hands.plug_in(self.rig, self._tell)
                self._play()

    # --- torture ----------------------------------------------------------------------------------------------------

    def _stop_torture(self) -> None:
        if self._torture is None:
            raise ValueError("no torture is running")
        self._torture.stop()
        self._tell("quiet", f"you: {hands.WORDS['stop_torture']}; it ends after this deposit, and is audited")

    async def _run_torture(self) -> None:
        result: dict[str, Any] = {"deposits": TORTURE_DEPOSITS, "cuts": TORTURE_CUTS, "accepted": 0, "cut": 0}
        result["left_s"] = TORTURE_S
        self._witness = witness = Witness()
        started = time.monotonic()

        def progress(accepted: int, cut: int) -> None:
            if accepted >= ENOUGH_TO_ESTIMATE:
                a_deposit_s = (time.monotonic() - started) / accepted
                result["left_s"] = round(a_deposit_s * (TORTURE_DEPOSITS - accepted))
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
        self._tell("plain", f"torture: {TORTURE_DEPOSITS} deposits, {TORTURE_CUTS} power cuts; about 5 minutes")
        self.hub.say("mode", "torture")
        self.hub.say("torture", result)
        try:
            await hands.mend(self.rig, self._tell)
            await hands.plug_in(self.rig, self._tell)
            self._tell("quiet", "a quick world and a daemon for it start")
            await self.rig.set_pace(FAST)
            outcome = await self._torture.run()
            self._torture_ended(result, outcome)
        except (NotShown, Stuck, ConnectionError, ValueError) as error:
            self.hub.say("torture", result | {"stuck": str(error)})
            self._tell("bad", f"torture: {error}")
        self._tell("quiet", "the slow world and a daemon for it start again")
        await self.rig.set_pace(STROLL)
        self._torture = self._witness = None
        self._play()

    def _torture_ended(self, result: dict[str, Any], outcome: Outcome) -> None:
        lost, doubled = len(outcome.verdict.lost), len(outcome.verdict.duplicates)
        early = len(outcome.verdict.shown_not_kept)
        done = {"accepted": outcome.accepted, "cut": outcome.power_cuts, "seconds": round(outcome.seconds)}
        found = {"lost": lost, "doubled": doubled, "early": early, "ok": outcome.ok, "missing": outcome.missing}
        self.hub.say("torture", result | done | found)
        self._tell(
            "good" if outcome.ok else "bad",
            f"torture: lost {lost}, doubled {doubled}, shown early {early} "
            f"of {outcome.accepted} deposits and {outcome.power_cuts} power cuts, {outcome.seconds:.0f} s",
        )
        for problem in (*outcome.verdict.problems, *outcome.missing):
            self._tell("bad", problem)

    # --- what happens -----------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        self._story.event(event)
        if self._witness is not None:
            self._witness.event(event)
        if event["event"] == "power_cut":
            self.hub.say("power", False)
            if self._torture is not None:
                self._torture.power_failed()
            else:
                self._keep(self._cut_power())

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self.hub.say("world", snapshot)
        self.hub.say("power", snapshot["power"])
        if self._witness is not None:
            self._witness.snapshot(snapshot)

    def _on_view(self, shown: Shown) -> None:
        if self._daemon_lives != self.rig.screen.connections:
            self._daemon_lives = self.rig.screen.connections
            self._story.restarted(shown.at_ns)
        self._story.view(shown)
        self.hub.say("view", shown.view)
        if self._witness is not None:
            self._witness.view(shown)

    def _on_death(self, message: str) -> None:
        if not self.died.done():
            self.died.set_exception(ChildDied(message))

    async def _cut_power(self) -> None:
        await self.rig.lose_power()
        self.hub.say("step", "power_cut")
        when = "between commit and tip" if self._story.between_commit_and_tip else "as the gate's motor starts"
        self._tell("bad", f"POWER CUT {when}: the daemon is dead, the item lies on the shelf")
        await asyncio.sleep(DARK_S)
        self._tell("plain", "the power is back: the daemon starts again and reads its ledger")
        await self.rig.return_power()

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
