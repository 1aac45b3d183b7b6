"""What happens, in lines for a terminal and steps for the page; both from what the world and the screen say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiosk.simulator.demo.screen_tap import Shown
from kiosk.simulator.demo.world_link import Event

Tell = Callable[[str, str], None]
"""``tell(tone, line)``; tone is plain, good, bad or quiet."""
Step = Callable[[str], None]

NAMES = {"aa": "AA", "aaa": "AAA", "c": "C", "d": "D", "9v": "9 V", "18650": "18650", "coin": "coin cell"}
BEAMS = {"beam_a": "a", "beam_b": "b", "metal": "metal"}
QUIET_NS = 150_000_000
"""A passage through the beams is over when they have been quiet for this long."""


START_NS = 10_000_000_000
"""A daemon that is not open this long after its start does not merely start."""
START_REASONS = ("starting", "temperature_sensor", "scale", "pins", "no_tariff")
"""For these a bin is closed until each device has spoken once; for the first of them also while it is being ended."""
SHUT_SCREENS = ("closed", "hazard", "recovering", "starting")


def name_of(kind: str) -> str:
    return NAMES.get(kind, kind)


class Story:
    """``on_fall(fall)`` gets each passage whole, its edges in milliseconds, so that the page can play it slowly."""

    def __init__(self, tell: Tell, step: Step, on_fall: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._step = step
        self._on_fall = on_fall
        self._screen = ""
        self._reason: str | None = None
        self._refused = False
        self._item_id: str | None = None
        self._acknowledged: int | None = None
        self._online: bool | None = None
        self._edges: list[tuple[str, bool, int]] = []
        self._kind = "aa"
        self._hand = False
        self._commit_told = False
        self._start_ns = 0
        self._settling = False
        self._recovery_told = False

    @property
    def starting(self) -> bool:
        """A new daemon has not heard from all its devices yet."""
        return self._screen == "starting"

    @property
    def between_commit_and_tip(self) -> bool:
        """By what the screen said last."""
        return self._screen in ("committing", "credited")

    def restarted(self, at_ns: int) -> None:
        """A new daemon serves the screen: what it misses at first is no fault. ``at_ns``: CLOCK_MONOTONIC."""
        self._settling, self._start_ns = True, at_ns
        self._commit_told = self._refused = self._recovery_told = False

    def event(self, event: Event) -> None:
        match event:
            case {"event": "edge", "line": str(line), "active": bool(active), "t_ns": int(t_ns)} if line in BEAMS:
                self._edges.append((BEAMS[line], active, t_ns))
            case {"event": "dropped" | "pulled", "kind": str(kind)}:
                self._kind = kind
                if event["event"] == "pulled":
                    self._tell("bad", f"the {name_of(kind)} is pulled back up")
            case {"event": "hand"}:
                self._hand = True
                self._tell("plain", "a hand reaches in and blocks beam A")
            case {"event": "gave_up"}:
                self._tell("quiet", "a resident gave up waiting before the locked flap")
            case {"event": "tipped", "to": str(to)}:
                if to == "store":
                    self._step("tip")
                self._tell("plain", "the gate tips it into the store" if to == "store" else "the gate gives it back")
            case _:
                pass

    def passed(self, now_ns: int) -> None:
        """Called now and then: a passage that has become quiet is told whole. ``now_ns``: CLOCK_MONOTONIC."""
        if self._settling and now_ns - self._start_ns > START_NS:
            if self.starting:
                self._screen = "closed"
                self._tell("bad", f"closed: {(self._reason or '').replace('_', ' ')}")
            self._settling = False
        edges = self._edges
        if not edges or now_ns - edges[-1][2] < QUIET_NS or any(self._blocked(line) for line in ("a", "b")):
            return
        self._edges = []
        beams = [(line, t_ns) for line, active, t_ns in edges if line != "metal" and active]
        if not beams:
            return
        start_ns = edges[0][2]
        span_ms = (edges[-1][2] - start_ns) / 1e6
        up = beams[0][0] == "b"
        fall = {
            "kind": self._kind,
            "up": up,
            "edges": [[line, active, round((t_ns - start_ns) / 1e6, 3)] for line, active, t_ns in edges],
        }
        self._on_fall(fall)
        if not up and any(line == "b" for line, _ in beams):
            self._step("beams")
            metal = ", metal" if any(line == "metal" for line, _, _ in edges) else ""
            self._tell("plain", f"{name_of(self._kind)} falls: beam A{metal}, beam B within {span_ms:.0f} ms")
        elif self._hand:
            self._hand = False
            self._tell("plain", "the hand is gone; nothing fell, nothing is credited")

    def view(self, shown: Shown) -> None:
        screen, view = shown.screen, shown.view
        changed = (screen, view["reason"]) != (self._screen, self._reason)
        before, self._screen, self._reason = self._screen, screen, view["reason"]
        if not changed:
            return
        credit = view["credit"]
        reasons = START_REASONS if self._settling else START_REASONS[:1]
        if screen == "starting" or (screen == "closed" and view["reason"] in reasons):
            if before not in ("starting", "recovering"):
                self._tell("quiet", "starting")
            self._screen = "starting"
            return
        self._settling = self._settling and screen == "recovering"
        if before in SHUT_SCREENS and screen in ("idle", "accepting"):
            self._tell("good", "open again")
        match screen:
            case "idle" if before not in ("", "idle"):
                self._step("idle")
            case "accepting" if before in ("idle", "farewell", "closing", ""):
                self._step("card")
                self._tell("plain", "a card: the flap unlocks")
            case "weighing" if before != "weighing":
                self._commit_told = False
                self._step("scale")
                self._tell("plain", "flap closed, beams clear: the shelf weighs")
            case "committing":
                self._committed()
            case "accepting" | "refused" | "farewell" if shown.refused and not self._refused:
                self._step("refused")
                self._tell("bad", f"refused: {(view['reason'] or '').replace('_', ' ')}")
            case "hazard" if before != "hazard":
                self._tell("bad", "HAZARD: the bin is latched until a technician clears it")
            case "closed":
                self._tell("bad", f"closed: {(view['reason'] or '').replace('_', ' ')}")
            case "recovering" if not self._recovery_told:
                self._recovery_told = True
                self._tell("plain", "the shelf is unknown: the gate cycles once to store, then tare")
            case _:
                pass
        # Told once: the refusal stays on the screen, with pauses, until the next item is weighed.
        self._refused = screen != "weighing" and (self._refused or shown.refused)
        if credit is not None and credit["item_id"] != self._item_id:
            self._item_id = credit["item_id"]
            self._committed()
            self._commit_told = False
            self._step(f"points {credit['points']}")
            self._tell("good", f"+{credit['points']} for one {credit['battery_class']}, durable before it is shown")

    def counts(self, deposits: dict[str, int], *, online: bool, trouble: str | None) -> None:
        """``trouble``: why the server was not reached; null also while it has not been tried yet."""
        acknowledged = deposits["acknowledged"]
        if self._acknowledged is not None and acknowledged > self._acknowledged:
            self._step("server")
            more = acknowledged - self._acknowledged
            self._tell("good", f"the server has counted {more} more: {acknowledged} acknowledged")
        self._acknowledged = acknowledged
        if online or trouble:
            if self._online is not None and online != self._online:
                self._tell("plain", "the points server answers" if online else "no points server: offline is normal")
            self._online = online

    def _committed(self) -> None:
        """Once for each commit: a quick one may pass without a view of its own."""
        if not self._commit_told:
            self._commit_told = True
            self._step("commit")
            self._tell("plain", "commit: one fdatasync")

    def _blocked(self, line: str) -> bool:
        return next((active for each, active, _ in reversed(self._edges) if each == line), False)
