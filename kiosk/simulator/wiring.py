"""The wires of the reference bin: which pin is which, and what each input reads now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

INPUTS = {
    "door": 23,
    "flap_closed": 5,
    "beam_a": 17,
    "beam_b": 27,
    "metal": 22,
    "gate_store": 20,
    "gate_return": 21,
    "gate_home": 9,
}
"""Active-low with pull-up: 0 is beam blocked, metal seen, reed closed, end stop pressed."""

OUTPUTS = {"flap_lock": 26, "gate_in1": 12, "gate_in2": 18}
"""Active-high: 1 on the lock unlocks; in1 turns the gate towards store, in2 towards return."""


class Inputs:
    """The input wires, ``active`` at first. ``on_level(line, level)``: a change that a powered controller can read."""

    def __init__(self, on_level: Callable[[str, int], None], *, active: Iterable[str]) -> None:
        self._on_level = on_level
        self._causes = Counter(active)
        self._forced: dict[str, int] = {}
        self._told = {line: self.level(line) for line in INPUTS}
        self._listened = True

    def level(self, line: str) -> int:
        return self._forced.get(line, 0 if self._causes[line] > 0 else 1)

    def active(self, line: str) -> bool:
        return self.level(line) == 0

    def add(self, line: str) -> None:
        """One more thing makes the line active: two items in one beam are two."""
        self._causes[line] += 1
        self._tell(line)

    def remove(self, line: str) -> None:
        self._causes[line] -= 1
        self._tell(line)

    def set(self, line: str, active: bool) -> None:
        self._causes[line] = int(active)
        self._tell(line)

    def force(self, line: str, level: int | None) -> None:
        """Hold the wire at ``level`` whatever the sensor says (a cut wire reads 1); null mends it."""
        if level is None:
            self._forced.pop(line, None)
        else:
            self._forced[line] = level
        self._tell(line)

    def listen(self, listened: bool) -> None:
        """Without power nobody reads the wires; afterwards they are as they physically are."""
        self._listened = listened
        for line in INPUTS:
            self._tell(line)

    def _tell(self, line: str) -> None:
        level = self.level(line)
        if self._listened and level != self._told[line]:
            self._told[line] = level
            self._on_level(line, level)
