"""What an onlooker of world and screen has seen, and when. It sees neither ledger nor journal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from kiosk.simulator.demo.screen_tap import Shown
from kiosk.simulator.demo.world_link import Event, Snapshot

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Something reached the shelf. ``at_ns``: CLOCK_MONOTONIC."""

    fall_id: int
    kind: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCredit:
    """A credit on the resident's screen, and when it was first there. ``at_ns``: CLOCK_MONOTONIC."""

    item_id: str
    points: int
    at_ns: int


class Witness:
    """Fed with everything that the world and the screen say, in the order in which it comes."""

    def __init__(self) -> None:
        self.falls: list[Fall] = []
        self.credits: dict[str, ShownCredit] = {}
        self.not_waiting: set[int] = set()
        """Falls that happened, and those whose resident went away."""
        self.weighed_ns: list[int] = []
        """When the scale sent a stable reading."""
        self.mechanics: list[Span] = []
        """When flap, gate or scale were moving; spans may overlap."""
        self._since_ns: dict[str, int] = {}

    def event(self, event: Event) -> None:
        at_ns = event["t_ns"]
        match event:
            case {"event": "fell", "fall_id": int(fall_id), "kind": str(kind)}:
                self.falls.append(Fall(fall_id=fall_id, kind=kind, at_ns=at_ns))
                self.not_waiting.add(fall_id)
            case {"event": "gave_up", "fall_id": int(fall_id)}:
                self.not_waiting.add(fall_id)
            case {"event": "weighed", "stable": True}:
                self.weighed_ns.append(at_ns)
            case {"event": "edge", "line": "flap_closed", "active": bool(closed)}:
                self._moves("flap", not closed, at_ns)
            case {"event": "motor_on"}:
                self._moves("gate", True, at_ns)
            case {"event": "motor_off"}:
                self._moves("gate", False, at_ns)
            case _:
                pass

    def snapshot(self, snapshot: Snapshot) -> None:
        self._moves("scale", not snapshot["shelf"]["stable"], time.monotonic_ns())

    def view(self, shown: Shown) -> None:
        item_id, credit = shown.item_id, shown.view["credit"]
        if item_id is not None and item_id not in self.credits:
            self.credits[item_id] = ShownCredit(item_id=item_id, points=credit["points"], at_ns=shown.at_ns)

    def _moves(self, what: str, moving: bool, at_ns: int) -> None:
        since_ns = self._since_ns.pop(what, None)
        if since_ns is not None:
            self.mechanics.append((since_ns, at_ns))
        if moving:
            self._since_ns[what] = at_ns


def covered_ns(spans: Sequence[Span], window: Span) -> int:
    """How much of the window lies in at least one of the spans."""
    covered, until = 0, window[0]
    for start, end in sorted(spans):
        start, end = max(start, until), min(end, window[1])
        if end > start:
            covered, until = covered + end - start, end
    return covered
