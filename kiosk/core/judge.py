"""Evidence in, verdict out: did a battery really fall, which class, how many.

Sources of the figures: the masses and sizes that makers publish for common cells, widened for zinc-carbon and NiMH; the
geometry of the reference bin, whose beams stand 45 mm apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync.records import Evidence, Passage

Way = Literal["fell", "retracted", "hand", "nothing"]
Code = Literal["accepted", "retracted", "hand", "unclear", "unweighed", "too_light", "mixed", "not_a_battery"]

BEAM_GAP_UM = 45_000
GRAVITY_UM_S2 = 9_810_000
FALL_US_MAX = 150_000
"""The slowest real fall: a D cell that enters at 1 m/s is through both beams in 90 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """What one cell of a class may weigh (mg), and how long it may appear along the fall (µm), lengthwise or across."""

    name: str
    mass_mg: tuple[int, int]
    extent_um: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One numbered set of thresholds. Evidence names its number, so that a replay uses the same."""

    version: int
    classes: tuple[ClassRule, ...]
    too_light_mg: int


PASSAGES_MAX = 6
"""Evidence that is full may lack the passage that tells, so it is never accepted; the flap locks after the first."""

RULES = Rules(
    version=1,
    too_light_mg=1_000,
    # In order of preference: where windows overlap, the first that fits is taken, and it is the cheaper class.
    classes=(
        ClassRule(name="coin", mass_mg=(1_000, 6_500), extent_um=(1_500, 30_000)),
        ClassRule(name="AAA", mass_mg=(6_501, 15_900), extent_um=(6_000, 48_500)),
        ClassRule(name="AA", mass_mg=(14_000, 32_500), extent_um=(8_000, 60_000)),
        ClassRule(name="9V", mass_mg=(32_501, 52_000), extent_um=(12_000, 56_000)),
        ClassRule(name="18650", mass_mg=(39_000, 52_000), extent_um=(12_000, 78_000)),
        ClassRule(name="C", mass_mg=(45_000, 80_000), extent_um=(18_000, 62_000)),
        ClassRule(name="D", mass_mg=(90_000, 165_000), extent_um=(24_000, 76_000)),
    ),
)
"""The rules in force. A change gets a new version and keeps the old one in :data:`ALL_RULES`."""

ALL_RULES = {RULES.version: RULES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``code`` is ``accepted`` or the reason of a refusal, one of those that the screen has sentences for."""

    code: Code
    battery_class: str | None
    count: int
    mass_mg: int | None

    @property
    def accepted(self) -> bool:
        return self.code == "accepted"


@dataclass(frozen=True, slots=True)
class Pulse:
    """One blocking of a beam, microseconds since the passage began."""

    down_us: int
    up_us: int


def way_of(passage: Passage) -> Way:
    """Which way something went through the beams.

    A fall is: first A-down before first B-down, last up on B, then A quiet (the passage has ended). A-up and B-down may
    come in either order. What never reached B left nothing on the shelf. Last up on A means that it came out again.
    """
    a, b = pulses(passage, "a"), pulses(passage, "b")
    if not b:
        return "nothing"
    if not a or b[0].down_us <= a[0].down_us or a[-1].up_us >= b[-1].up_us:
        return "retracted"
    if len(a) != len(b) or any(not fits_a_fall(pa, pb) for pa, pb in zip(a, b, strict=True)):
        return "hand"
    return "fell"


def fits_a_fall(a: Pulse, b: Pulse) -> bool:
    return a.down_us < b.down_us and a.up_us < b.up_us and b.up_us - a.down_us <= FALL_US_MAX


def pulses(passage: Passage, line: str) -> list[Pulse]:
    """The complete blockings of one beam in order; an edge that the filter lost its partner of is dropped."""
    found: list[Pulse] = []
    down_us: int | None = None
    for edge_line, active, t_us in passage.edges:
        if edge_line != line:
            continue
        if active:
            down_us = t_us
        elif down_us is not None:
            found.append(Pulse(down_us, t_us))
            down_us = None
    return found


def extents_um(passage: Passage) -> list[int]:
    """How long each thing of a fall was along its way, from the beams' own timing.

    The front edge covers the gap between A-down and B-down, which gives its speed at A under gravity; at A-up it has
    covered the thing's length.
    """
    lengths = []
    for a, b in zip(pulses(passage, "a"), pulses(passage, "b"), strict=True):
        gap_us, blocked_us = b.down_us - a.down_us, a.up_us - a.down_us
        speed_um_s = BEAM_GAP_UM * 1_000_000 // gap_us - GRAVITY_UM_S2 * gap_us // 2_000_000
        lengths.append((speed_um_s * blocked_us + GRAVITY_UM_S2 * blocked_us * blocked_us // 2_000_000) // 1_000_000)
    return lengths


def judge(evidence: Evidence, rules: Rules = RULES) -> Verdict:
    """The verdict on everything that happened between the first passage and the settled mass."""

    def refused(code: Code) -> Verdict:
        return Verdict(code=code, battery_class=None, count=0, mass_mg=evidence.mass_mg)

    ways = [way_of(passage) for passage in evidence.passages]
    if "retracted" in ways:
        return refused("retracted")
    if "hand" in ways:
        return refused("hand")
    if len(ways) >= PASSAGES_MAX:
        return refused("unclear")
    extents = [
        length
        for passage, way in zip(evidence.passages, ways, strict=True)
        if way == "fell"
        for length in extents_um(passage)
    ]
    if not extents:
        return refused("unclear")
    if evidence.mass_mg is None:
        return refused("unweighed")
    if evidence.mass_mg < rules.too_light_mg:
        return refused("too_light")
    count = len(extents)
    for rule in rules.classes:
        if fits(rule, evidence.mass_mg, extents):
            return Verdict(code="accepted", battery_class=rule.name, count=count, mass_mg=evidence.mass_mg)
    return refused("not_a_battery" if count == 1 else "mixed")


def fits(rule: ClassRule, mass_mg: int, extents: list[int]) -> bool:
    """Whether this many cells of one class, and nothing else, explain the mass and every length."""
    low, high = rule.mass_mg
    return low * len(extents) <= mass_mg <= high * len(extents) and all(
        rule.extent_um[0] <= extent <= rule.extent_um[1] for extent in extents
    )
