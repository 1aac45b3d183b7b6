"""The demo without a page: N deposits, M power cuts, one verdict."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kiosk.simulator.demo.children import ChildDied
from kiosk.simulator.demo.rig import FAST, Rig
from kiosk.simulator.demo.screen_tap import NotShown
from kiosk.simulator.demo.stopping import stop_requested
from kiosk.simulator.demo.torture import Outcome, Stuck, Torture
from kiosk.simulator.demo.witness import Witness, covered_ns
from kiosk.simulator.demo.world_link import Event

Report = dict[str, Any]


class Unfinished(RuntimeError):
    """The run came to no verdict; the message says what was missing."""


async def headless(folder: Path, *, deposits: int, cuts: int, seed: int, say: Callable[[str], None]) -> Report:
    """The whole run. Raises :class:`Unfinished`, KeyboardInterrupt after Ctrl-C; the processes are ended either way."""
    witness = Witness()
    died = asyncio.get_running_loop().create_future()
    torture: Torture | None = None

    def on_event(event: Event) -> None:
        witness.event(event)
        if event["event"] == "power_cut" and torture is not None:
            torture.power_failed()

    def on_death(message: str) -> None:
        if not died.done():
            died.set_exception(ChildDied(message))

    rig = Rig(
        folder,
        seed,
        FAST,
        on_event=on_event,
        on_snapshot=witness.snapshot,
        on_view=witness.view,
        on_death=on_death,
    )
    torture = Torture(
        rig,
        witness,
        seed=seed,
        deposits=deposits,
        cuts=cuts,
        on_progress=lambda accepted, cut: say(f"{accepted} of {deposits} deposits, {cut} of {cuts} power cuts"),
    )

    async def whole() -> Outcome:
        say("starting points server, world and daemon")
        await rig.start()
        say("the bin is open")
        assert torture is not None
        return await torture.run()

    run = asyncio.ensure_future(whole())
    stop = asyncio.ensure_future(stop_requested().wait())
    try:
        await asyncio.wait({run, died, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            raise KeyboardInterrupt
        outcome = died.result() if died.done() else run.result()
    except (ChildDied, NotShown, Stuck, OSError) as error:
        raise Unfinished(str(error)) from error
    finally:
        for task in (run, stop):
            task.cancel()
        await asyncio.gather(run, stop, return_exceptions=True)
        await rig.close()
    return report(outcome, witness, deposits=deposits, seed=seed)


def report(outcome: Outcome, witness: Witness, *, deposits: int, seed: int) -> Report:
    """JSON-able."""
    verdict = outcome.verdict
    return {
        "ok": outcome.ok,
        "deposits": deposits,
        "power_cuts": outcome.power_cuts,
        "cut_moments": outcome.cut_moments,
        "seed": seed,
        "fell": outcome.fell,
        "accepted": outcome.accepted,
        "acknowledged": outcome.acknowledged,
        "credited": verdict.credited,
        "pending": outcome.pending,
        "held": outcome.held,
        "duplicates": len(verdict.duplicates),
        "lost": len(verdict.lost),
        "shown_before_durable": len(verdict.shown_not_kept),
        "problems": [*verdict.problems, *outcome.missing],
        "seconds_per_battery": pace(outcome, witness),
        "latency_ms": {
            "last_evidence_to_credited": spread_ms(outcome.evidence_ns),
            "card_to_screen": spread_ms(outcome.card_ns),
        },
        "seconds": round(outcome.seconds, 1),
    }


def pace(outcome: Outcome, witness: Witness) -> Report:
    """From the wish to drop until the bin is ready for the next, power cuts left out."""
    if not outcome.cycles:
        return {"mean": None, "mechanical": None, "mechanical_share": None, "samples": 0}
    took_ns = sum(end - start for start, end in outcome.cycles)
    moving_ns = sum(covered_ns(witness.mechanics, cycle) for cycle in outcome.cycles)
    count = len(outcome.cycles)
    return {
        "mean": round(took_ns / count / 1e9, 3),
        "mechanical": round(moving_ns / count / 1e9, 3),
        "mechanical_share": round(moving_ns / took_ns, 3),
        "samples": count,
    }


def spread_ms(spans_ns: Sequence[int]) -> Report:
    if not spans_ns:
        return {"p50": None, "p99": None, "samples": 0}
    spans_ms = sorted(span / 1e6 for span in spans_ns)
    p99 = spans_ms[min(len(spans_ms) - 1, len(spans_ms) * 99 // 100)]
    return {"p50": round(statistics.median(spans_ms), 2), "p99": round(p99, 2), "samples": len(spans_ms)}
