"""Deposits one after the other, with power cuts among them, and the audit of what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from kiosk.simulator.demo.audit import Facts, Kept, Verdict, audit, posted_from
from kiosk.simulator.demo.rig import Rig
from kiosk.simulator.demo.screen_tap import NotShown, Shown
from kiosk.simulator.demo.witness import Span, Witness

KINDS = ("aa", "aa", "aa", "aaa", "aaa", "c", "d", "9v", "18650", "coin")
CARDS = 16
SESSION_ITEMS = 3
CUT_MOMENTS = ("motor_on", "any", "fell", "tipped", "motor_on", "any", "flap_unlocked")
"""``motor_on`` is between commit and tip; ``any`` is a moment drawn from the two seconds after the request to drop."""
ANY_MOMENT_S = 2.0
CUT_S = 12.0
"""The power is cut now if the moment has not come within this."""
STEP_S = 20.0
DRAIN_S = 30.0
TAP_AGAIN_S = 3.0
TAPS_MAX = 5
ATTEMPTS_PER_DEPOSIT = 3
OPEN_SCREENS = ("idle", "accepting", "farewell")


class Stuck(RuntimeError):
    """The run could not be finished; the message says what was missing."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run came to. ``missing`` says why it is not complete, if it is not."""

    fell: int
    accepted: int
    acknowledged: int
    pending: int
    held: int
    power_cuts: int
    cut_moments: dict[str, int]
    verdict: Verdict
    missing: list[str]
    seconds: float
    cycles: list[Span] = field(default_factory=list)
    card_ns: list[int] = field(default_factory=list)
    evidence_ns: list[int] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Both promises held, and the run went to its end: half a proof is none."""
        return not self.verdict.problems and not self.missing


class Torture:
    """``deposits`` accepted ones, ``cuts`` of them disturbed by a power cut; the seed chooses items and moments.

    ``witness`` is new, and fed by the caller with all that world and screen say; :meth:`power_failed` is to be called
    at the world's ``power_cut``. ``on_progress(accepted, cuts)`` after every deposit.
    """

    def __init__(
        self,
        rig: Rig,
        witness: Witness,
        *,
        seed: int,
        deposits: int,
        cuts: int,
        on_progress: Callable[[int, int], None] = lambda accepted, cuts: None,
    ) -> None:
        if cuts > deposits:
            raise ValueError("there can be one power cut for each deposit, not more")
        self._rig = rig
        self._witness = witness
        self._deposits = deposits
        self._cuts = cuts
        self._on_progress = on_progress
        self._rng = Random(f"{seed}:torture")
        self._due = sorted(self._rng.sample(range(deposits), cuts))
        moments = [CUT_MOMENTS[index % len(CUT_MOMENTS)] for index in range(cuts)]
        self._rng.shuffle(moments)
        self._moments = moments
        self._card = 0
        self._in_session = 0
        self._asked: int | None = None
        self._power_lost = asyncio.Event()
        self._cycles: list[Span] = []
        self._card_ns: list[int] = []
        self._cut_moments = Counter[str]()
        self._stopped = False

    def power_failed(self) -> None:
        """Mains are gone: the daemon dies at once."""
        self._dying = asyncio.ensure_future(self._die())

    def stop(self) -> None:
        """End after the deposit in hand; the audit is of what was done until then."""
        self._stopped = True

    async def run(self) -> Outcome:
        """Raises :class:`NotShown`, :class:`Stuck`, :class:`ChildDied`."""
        started = time.monotonic()
        await self._until_open()
        before = await self._kept_records()
        paid_before = {posting.item_id for posting in posted_from(await self._overview())}
        base = await self._counts()
        accepted, cuts_done = 0, 0
        for _ in range(ATTEMPTS_PER_DEPOSIT * self._deposits + 10):
            if accepted >= self._deposits or self._stopped:
                break
            if cuts_done < self._cuts and self._due[cuts_done] <= accepted:
                await self._attempt_with_cut(self._moments[cuts_done])
                cuts_done += 1
            else:
                await self._attempt()
            accepted = (await self._counts())["accepted"] - base["accepted"]
            self._on_progress(accepted, cuts_done)
        await self._end_session()
        missing = await self._drain()
        if accepted < self._deposits and not self._stopped:
            missing.append(f"{accepted} of {self._deposits} deposits were accepted")
        kept = [record for record in await self._kept_records() if record not in before]
        facts = await self._facts(kept, paid_before)
        counts = await self._counts()
        now = {name: counts[name] - base[name] for name in ("accepted", "acknowledged", "pending", "held")}
        if now["accepted"] != now["acknowledged"] + now["pending"] + now["held"] or now["accepted"] != len(kept):
            missing.append(f"the bin's counts do not add up: {counts}, {len(kept)} deposits in its ledger")
        return Outcome(
            fell=len(facts.falls),
            **now,
            power_cuts=cuts_done,
            cut_moments=dict(self._cut_moments),
            verdict=audit(facts),
            missing=missing,
            seconds=time.monotonic() - started,
            cycles=self._cycles,
            card_ns=self._card_ns,
            evidence_ns=self._evidence_ns(kept),
        )

    # --- one deposit ------------------------------------------------------------------------------------------------

    async def _attempt(self) -> None:
        if self._in_session >= SESSION_ITEMS:
            await self._end_session()
        await self._open_session()
        known = set(self._witness.credits)
        asked_ns = time.monotonic_ns()
        await self._ask_to_drop()

        def judged(shown: Shown) -> bool:
            return shown.refused or (shown.item_id is not None and shown.item_id not in known)

        await self._rig.screen.until(judged, STEP_S, "credited or refused")
        after = await self._rig.screen.until(lambda shown: shown.screen in OPEN_SCREENS, STEP_S, "that the tip is done")
        self._asked = None
        self._in_session += 1
        self._cycles.append((asked_ns, after.at_ns))

    async def _attempt_with_cut(self, moment: str) -> None:
        self._power_lost.clear()
        if moment != "any":
            await self._rig.world.do("cut_power_at", event=moment)
        await self._ask_to_drop()
        opening = asyncio.ensure_future(self._open_session())
        wait_s = self._rng.uniform(0, ANY_MOMENT_S) if moment == "any" else CUT_S
        try:
            await asyncio.wait_for(self._power_lost.wait(), wait_s)
            self._cut_moments[moment] += 1
        except TimeoutError:
            await self._die()
            self._cut_moments["any"] += 1
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await self._rig.world.do("cut_power_at", event=None)
        await self._rig.return_power()
        self._in_session = 0
        self._card += 1
        await self._until_open()

    async def _die(self) -> None:
        await self._rig.lose_power()
        self._power_lost.set()

    async def _ask_to_drop(self) -> None:
        """Whoever still waits before the flap, after a power cut, is the next to drop."""
        if self._asked is None or self._asked in self._witness.not_waiting:
            kind = self._rng.choice(KINDS)
            self._asked = (await self._rig.world.do("drop", kind=kind))["fall_id"]

    async def _open_session(self) -> None:
        shown = await self._until_open()
        if shown.screen == "accepting":
            return
        tapped_ns = time.monotonic_ns()
        for _ in range(TAPS_MAX):
            await self._rig.world.do("tap", card=str(self._card % CARDS))
            with contextlib.suppress(NotShown):
                shown = await self._rig.screen.until(
                    lambda shown: shown.screen == "accepting", TAP_AGAIN_S, "that the flap is open"
                )
                break
        else:
            raise Stuck(f"the card was tapped {TAPS_MAX} times and the bin did not open")
        self._card_ns.append(shown.at_ns - tapped_ns)

    async def _until_open(self) -> Shown:
        return await self._rig.screen.until(lambda shown: shown.screen in OPEN_SCREENS, STEP_S, "that the bin is open")

    async def _end_session(self) -> None:
        latest = self._rig.screen.latest
        if latest is not None and latest.screen == "accepting":
            await self._rig.screen.press_done()
            await self._rig.screen.until(lambda shown: shown.screen == "idle", STEP_S, "the end of the session")
        self._in_session = 0
        self._card += 1

    # --- what is known in the end -----------------------------------------------------------------------------------

    async def _drain(self) -> list[str]:
        """Wait until the server has all; what is missing after a while, in words."""
        deadline = time.monotonic() + DRAIN_S
        while (await self._counts())["pending"]:
            if time.monotonic() > deadline:
                status = await self._rig.ask_daemon({"do": "status"}) or {}
                counts, server = await self._counts(), status.get("server")
                return [f"{counts['pending']} deposits still pending after {DRAIN_S:.0f} s; server: {server}"]
            await asyncio.sleep(0.02)
        return []

    async def _counts(self) -> dict[str, int]:
        deadline = time.monotonic() + STEP_S
        while time.monotonic() < deadline:
            status = await self._rig.ask_daemon({"do": "status"})
            if status is not None and "deposits" in status:
                return dict(status["deposits"])
            await asyncio.sleep(0.02)
        raise Stuck("the daemon does not answer on its control socket")

    async def _overview(self) -> dict[str, Any]:
        overview = await self._rig.server_ledger()
        if overview is None:
            raise Stuck("the points server does not answer its operator")
        return overview

    async def _kept_records(self) -> list[dict[str, Any]]:
        listed = await self._rig.ask_daemon({"do": "ledger", "ask": "list", "kind": "deposit", "limit": 10_000})
        if listed is None or "records" not in listed:
            raise Stuck(f"the bin's ledger cannot be read: {listed}")
        return list(listed["records"])

    async def _facts(self, kept: list[dict[str, Any]], paid_before: set[str]) -> Facts:
        posted = [posting for posting in posted_from(await self._overview()) if posting.item_id not in paid_before]
        paid = {posting.item_id for posting in posted}
        deposits = []
        for record in kept:
            item_id = record["body"]["item_id"]
            waits = False
            if item_id not in paid:
                found = await self._rig.ask_daemon({"do": "ledger", "ask": "show", "ref": item_id}) or {}
                waits = found.get("fate", "").split(":")[0] in ("pending", "held")
            deposits.append(
                Kept(item_id=item_id, points=record["body"]["points"], at_ms=record["mono_ms"], waits=waits)
            )
        return Facts(
            falls=self._witness.falls, shown=list(self._witness.credits.values()), kept=deposits, posted=posted
        )

    def _evidence_ns(self, kept: list[dict[str, Any]]) -> list[int]:
        """From the last reading of the scale that a verdict was made of until its credit was on the screen."""
        found = []
        for record in kept:
            credit = self._witness.credits.get(record["body"]["item_id"])
            if credit is not None:
                decided_ns = (record["mono_ms"] + 1) * 1_000_000
                weighed = [at_ns for at_ns in self._witness.weighed_ns if at_ns < decided_ns]
                if weighed:
                    found.append(credit.at_ns - weighed[-1])
        return found
