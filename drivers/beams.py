"""The two drop beams and the metal sensor: edges in, whole passages out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from operator import itemgetter

from drivers.readings import Edge

BEAMS = ("a", "b")
QUIET_MS = 60
"""A fall passes both beams within about 150 ms, an AAA across leaves 20 ms between them."""
EDGES_MAX = 64
"""A fall has four; a hand, a string or a swinging flap a few dozen."""
MIN_PULSE_US = 500
"""A CR2032 on edge blocks a beam for 1300 us, the shortest of all."""
METAL_LEAD_MS = 50
"""The inductive sensor sits above beam A: 50 ms are 100 mm of fall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One complete passage. ``edges``: (line, active, microseconds after ``started_ns``), in order of time.

    ``started_ns``, CLOCK_MONOTONIC, is the first blocking of a beam; metal seen before it has negative microseconds.
    """

    started_ns: int
    edges: tuple[tuple[str, bool, int], ...]


@dataclass(slots=True)
class _Pulse:
    line: str
    down_ns: int
    up_ns: int | None


class DropBeams:
    """Collects edges of the lines ``a``, ``b`` and ``metal`` into passages; it judges nothing.

    A passage begins when a beam is blocked and ends when both have been clear for ``quiet_ms``: by the edges' own
    times, however late poll() is called. A beam blocked for less than ``min_pulse_us`` was noise; clear for less than
    that, it stayed blocked. Metal from METAL_LEAD_MS before the passage rides along.

    A passage keeps its first ``edges_max`` edges. Beyond them it is no fall, but it still ends only when the beams do.
    """

    def __init__(
        self, *, quiet_ms: int = QUIET_MS, edges_max: int = EDGES_MAX, min_pulse_us: int = MIN_PULSE_US
    ) -> None:
        self._quiet_ns = quiet_ms * 1_000_000
        self._edges_max = edges_max
        self._min_pulse_ns = min_pulse_us * 1_000
        self._last: dict[str, _Pulse | None] = dict.fromkeys(BEAMS)
        self._pulses: list[_Pulse] = []
        self._metal: deque[Edge] = deque(maxlen=edges_max)
        self._complete: deque[Seen] = deque()

    def receive(self, edge: Edge) -> None:
        """Take one edge. Edges of a line come in order of time; repeats of a level are ignored."""
        if edge.line not in self._last:
            self._metal.append(edge)
        elif edge.active:
            self._block(edge.line, edge.t_ns)
        else:
            self._clear(edge.line, edge.t_ns)

    def poll(self, now_ns: int) -> Seen | None:
        """The next complete passage, if there is one. Call until it says None."""
        self._end_if_quiet(now_ns)
        return self._complete.popleft() if self._complete else None

    @property
    def passing(self) -> bool:
        """Whether a passage has begun and not ended yet."""
        return bool(self._pulses)

    def restart(self, *, a_blocked: bool, b_blocked: bool, now_ns: int) -> None:
        """Edges were lost: forget what was collected and believe these levels."""
        self._last = dict.fromkeys(BEAMS)
        self._pulses.clear()
        self._metal.clear()
        for line, blocked in (("a", a_blocked), ("b", b_blocked)):
            if blocked:
                self._block(line, now_ns)

    def _block(self, line: str, t_ns: int) -> None:
        self._end_if_quiet(t_ns)
        last = self._last[line]
        if last is not None and last.up_ns is None:
            return
        if last is not None and last.up_ns is not None and t_ns - last.up_ns < self._min_pulse_ns:
            last.up_ns = None
            return
        pulse = _Pulse(line, t_ns, None)
        self._last[line] = pulse
        if len(self._pulses) < self._edges_max:
            self._pulses.append(pulse)

    def _clear(self, line: str, t_ns: int) -> None:
        last = self._last[line]
        if last is None or last.up_ns is not None:
            return
        if t_ns - last.down_ns >= self._min_pulse_ns:
            last.up_ns = t_ns
            return
        self._last[line] = None
        # By identity: two lines may well have pulses that are equal in every field but one.
        self._pulses = [pulse for pulse in self._pulses if pulse is not last]

    def _end_if_quiet(self, now_ns: int) -> None:
        if not self._pulses:
            return
        ups = [pulse.up_ns for pulse in (*self._pulses, *self._last.values()) if pulse is not None]
        cleared = [up_ns for up_ns in ups if up_ns is not None]
        if len(cleared) == len(ups) and now_ns - max(cleared) >= self._quiet_ns:
            self._complete.append(self._seen(max(cleared) + self._quiet_ns))
            self._last = dict.fromkeys(BEAMS)
            self._pulses.clear()

    def _seen(self, end_ns: int) -> Seen:
        started_ns = min(pulse.down_ns for pulse in self._pulses)
        edges = [(pulse.down_ns, pulse.line, True) for pulse in self._pulses]
        edges += [(pulse.up_ns, pulse.line, False) for pulse in self._pulses if pulse.up_ns is not None]
        earliest_ns = started_ns - METAL_LEAD_MS * 1_000_000
        edges += [(m.t_ns, m.line, m.active) for m in self._metal if earliest_ns <= m.t_ns < end_ns]
        edges.sort(key=itemgetter(0))
        kept = edges[: self._edges_max]
        return Seen(
            started_ns=started_ns,
            edges=tuple((line, active, (t_ns - started_ns) // 1_000) for t_ns, line, active in kept),
        )
