"""The chute: items on their way between the flap and the shelf, and the beams that they cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from kiosk.simulator.fall import SHELF_BELOW_B_UM, Way, falling, rising
from kiosk.simulator.items import KINDS
from kiosk.simulator.timeline import MS, Timeline
from kiosk.simulator.wiring import Inputs

PULL_MIN_MM_S = 500
PULL_MAX_MM_S = 1_000
"""A string is pulled by hand."""
REACH_UM = 200_000
"""From beam A up to the flap, for what is pulled out."""
BEAM_A_AT = 0.6
"""Where a drawing has beam A."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    kind: str
    way: Way
    started_ns: int


class Chute:
    """``on_cut(fall_id)`` is called when a falling item first cuts beam A."""

    def __init__(
        self, timeline: Timeline, inputs: Inputs, rng: Random, *, gap_um: int, on_cut: Callable[[int], None]
    ) -> None:
        self._timeline = timeline
        self._inputs = inputs
        self._rng = rng
        self._gap_um = gap_um
        self._on_cut = on_cut
        self._moving: dict[int, Moving] = {}

    def drop(self, fall_id: int, kind: str, extent_um: int, speed_mm_s: int, then: Callable[[int], None]) -> Way:
        """Let it fall; ``then(fall_id)`` is called when it reaches the shelf."""
        way = falling(extent_um=extent_um, speed_mm_s=speed_mm_s, gap_um=self._gap_um)
        self._timeline.after(way.a_down_ns, self._on_cut, fall_id)
        self._send(fall_id, kind, way, then)
        return way

    def pull(self, fall_id: int, kind: str, then: Callable[[int], None]) -> None:
        """Pull it up; ``then(fall_id)`` is called when it is out."""
        speed_mm_s = self._rng.randint(PULL_MIN_MM_S, PULL_MAX_MM_S)
        extent_um = KINDS[kind].draw_extent_um(self._rng, "lengthwise")
        self._send(fall_id, kind, rising(extent_um=extent_um, speed_mm_s=speed_mm_s, gap_um=self._gap_um), then)

    def ghost(self, extent_um: int, speed_mm_s: int) -> None:
        """Edges of a fall without anything that falls."""
        way = falling(extent_um=extent_um, speed_mm_s=speed_mm_s, gap_um=self._gap_um)
        self._pulse("beam_a", 0, way.a_up_ns - way.a_down_ns)
        self._pulse("beam_b", way.b_down_ns - way.a_down_ns, way.b_up_ns - way.a_down_ns)

    def block(self, line: str, from_ms: int, until_ms: int) -> None:
        self._pulse(line, from_ms * MS, until_ms * MS)

    def seen(self) -> tuple[str, float] | None:
        """Kind and height of what moves, for a drawing: 0 at the flap, ``BEAM_A_AT`` at beam A, 1 on the shelf."""
        for moving in self._moving.values():
            depth_um = moving.way.depth_um(self._timeline.now_ns - moving.started_ns)
            below_a = depth_um / (self._gap_um + SHELF_BELOW_B_UM)
            above_a = depth_um / (REACH_UM if moving.way.upward else moving.way.start_um)
            share = BEAM_A_AT + (below_a * (1 - BEAM_A_AT) if depth_um > 0 else above_a * BEAM_A_AT)
            return moving.kind, round(min(1.0, max(0.0, share)), 3)
        return None

    def _send(self, fall_id: int, kind: str, way: Way, then: Callable[[int], None]) -> None:
        self._moving[fall_id] = Moving(kind=kind, way=way, started_ns=self._timeline.now_ns)
        self._pulse("beam_a", way.a_down_ns, way.a_up_ns)
        self._pulse("beam_b", way.b_down_ns, way.b_up_ns)
        if self._rng.randrange(1_000) < KINDS[kind].metal_per_mille:
            self._pulse("metal", way.metal_on_ns, way.metal_off_ns)
        self._timeline.after(way.end_ns, self._arrive, fall_id, then)

    def _pulse(self, line: str, from_ns: int, until_ns: int) -> None:
        self._timeline.after(from_ns, self._inputs.add, line)
        self._timeline.after(until_ns, self._inputs.remove, line)

    def _arrive(self, fall_id: int, then: Callable[[int], None]) -> None:
        del self._moving[fall_id]
        then(fall_id)
