"""Whether the promises held, from facts that do not depend on each other: what fell, what was shown, what was paid."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kiosk.simulator.demo.witness import Fall, ShownCredit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A deposit in the bin's ledger."""

    item_id: str
    points: int
    at_ms: int
    waits: bool
    """Pending or held: the bin has it and knows that it is not paid yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One line of a resident's account in the server's journal."""

    item_id: str
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    falls: Sequence[Fall]
    shown: Sequence[ShownCredit]
    kept: Sequence[Kept]
    posted: Sequence[Posting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Item ids, each with a sentence. ``problems`` is empty when promises 1 and 2 held."""

    credited: int
    """Deposits with a payment at the server."""
    lost: dict[str, str]
    duplicates: dict[str, str]
    shown_not_kept: dict[str, str]

    @property
    def problems(self) -> list[str]:
        return [
            f"{what}: {item_id}: {why}"
            for what, found in (
                ("lost", self.lost),
                ("doubled", self.duplicates),
                ("shown before it was durable", self.shown_not_kept),
            )
            for item_id, why in found.items()
        ]


def audit(facts: Facts) -> Verdict:
    kept = {deposit.item_id: deposit for deposit in facts.kept}
    shown = {credit.item_id: credit for credit in facts.shown}
    paid: dict[str, list[int]] = {}
    for posting in facts.posted:
        paid.setdefault(posting.item_id, []).append(posting.points)
    return Verdict(
        credited=len(paid),
        lost=lost(kept, shown, paid),
        duplicates=duplicates(facts.falls, kept, shown, paid),
        # The bin was killed and started again since: what its ledger does not hold was never durable.
        shown_not_kept={
            item_id: f"+{credit.points} was on the screen; the bin's ledger does not hold it"
            for item_id, credit in shown.items()
            if item_id not in kept
        },
    )


def lost(kept: dict[str, Kept], shown: dict[str, ShownCredit], paid: dict[str, list[int]]) -> dict[str, str]:
    """Credits that were shown or kept, that nobody holds back or still has to send, and that were not paid in full."""
    found = {}
    for item_id in {**shown, **kept}:
        due = shown[item_id].points if item_id in shown else kept[item_id].points
        waits = item_id in kept and kept[item_id].waits
        if item_id not in paid and not waits:
            found[item_id] = f"{due} points are in no account at the server"
        elif item_id in paid and paid[item_id][0] < due:
            found[item_id] = f"{due} points were due, {paid[item_id][0]} were paid"
    return found


def duplicates(
    falls: Sequence[Fall], kept: dict[str, Kept], shown: dict[str, ShownCredit], paid: dict[str, list[int]]
) -> dict[str, str]:
    """Payments and credits beyond one for each thing that really fell."""
    found = {}
    for item_id, points in paid.items():
        due = shown[item_id].points if item_id in shown else kept[item_id].points if item_id in kept else 0
        if item_id not in kept and item_id not in shown:
            found[item_id] = f"{sum(points)} points were paid for a deposit that the bin does not know"
        elif len(points) > 1:
            found[item_id] = f"paid {len(points)} times"
        elif points[0] > due:
            found[item_id] = f"{due} points were due, {points[0]} were paid"
    fell_ns = sorted(fall.at_ns for fall in falls)
    credits = Counter[int]()
    times_ns = {item_id: deposit.at_ms * 1_000_000 + 999_999 for item_id, deposit in kept.items()}
    times_ns |= {item_id: credit.at_ns for item_id, credit in shown.items()}
    for item_id, at_ns in sorted(times_ns.items(), key=lambda entry: entry[1]):
        # One thing is on its way at a time: a credit belongs to the last thing that fell before it.
        fall = bisect_right(fell_ns, at_ns) - 1
        credits[fall] += 1
        if fall < 0 or credits[fall] > 1:
            found[item_id] = "credited, but nothing fell for it"
    return found


def posted_from(overview: dict[str, Any]) -> list[Posting]:
    """From the points server's operator view: every line but the programme's own side."""
    return [
        Posting(item_id=line["item_id"], points=line["points"])
        for line in overview["journal"]
        if line["account"] != "programme"
    ]
