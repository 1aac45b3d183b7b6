"""What the controller's outputs move: the lock and the gate's motor."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.simulator.flap import Flap
from kiosk.simulator.gate import Direction, Gate
from kiosk.simulator.timeline import Timeline
from kiosk.simulator.wiring import OUTPUTS, Inputs

TOWARDS = {-1: "store", 0: None, 1: "return"}


class Actuators:
    """Commands take effect as far as the hardware supplies current.

    ``happened(name, **fields)`` tells an onlooker; ``at_rest()`` is called whenever the gate may stand at an end stop.
    """

    def __init__(
        self,
        timeline: Timeline,
        inputs: Inputs,
        flap: Flap,
        gate: Gate,
        *,
        happened: Callable[..., None],
        at_rest: Callable[[], None],
    ) -> None:
        self._timeline = timeline
        self._inputs = inputs
        self._flap = flap
        self._gate = gate
        self._happened = happened
        self._at_rest = at_rest
        self._commands = dict.fromkeys(OUTPUTS, 0)
        self._supplied = True

    def command(self, name: str, level: int) -> None:
        self._commands[name] = level
        self._drive()

    def release(self) -> None:
        """All outputs drop."""
        self._commands = dict.fromkeys(OUTPUTS, 0)
        self._drive()

    def supply(self, on: bool) -> None:
        """Mains, door switch and thermal cut-out are in series."""
        self._supplied = on
        self._drive()

    def jam(self, jammed: bool) -> None:
        self._gate.jam(jammed, self._timeline.now_ns)
        self._follow()

    def _drive(self) -> None:
        unlocked = bool(self._supplied and self._commands["flap_lock"])
        if unlocked != self._flap.unlocked:
            self._flap.energise(unlocked)
            self._happened("flap_unlocked" if unlocked else "flap_locked")
        # Read only now: what has just happened may have cut the power.
        in1, in2 = self._commands["gate_in1"], self._commands["gate_in2"]
        direction: Direction = 0
        if self._supplied and in1 != in2:
            direction = -1 if in1 else 1
        if direction != self._gate.direction:
            self._gate.drive(direction, self._timeline.now_ns)
            self._follow()
            self._happened("motor_on" if direction else "motor_off", towards=TOWARDS[direction])

    def _follow(self) -> None:
        """Let the switches read what the gate does, now and at the next change; a call too many does nothing."""
        self._gate.settle(self._timeline.now_ns)
        self._inputs.set("gate_store", self._gate.store)
        self._inputs.set("gate_return", self._gate.returned)
        self._inputs.set("gate_home", self._gate.home)
        next_ns = self._gate.next_ns()
        if next_ns is not None:
            self._timeline.after(next_ns - self._timeline.now_ns, self._follow)
        self._at_rest()
