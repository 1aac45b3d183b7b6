"""Lock, gate and level inputs on the world's pins: the part of ``kiosk/devices.py`` that needs gpiozero in earnest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.gate import GateMotion, Switches, Target
from kiosk.core.events import Levels
from kiosk.simulator.wiring import INPUTS, OUTPUTS

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

RUN_LIMIT_MS = 8_000
STALL_MS = 1_000
LINES = {bcm: line for line, bcm in INPUTS.items()}


class Pins:
    """``levels`` are electrical, by line; outputs are driven as they change, all off at first."""

    def __init__(self, simulation: Simulation, on_ms_max: int) -> None:
        self._simulation = simulation
        self._mono_ms = simulation.clock.mono_ms
        self.levels = {LINES[bcm]: level for bcm, level in simulation.world.levels().items()}
        self._driven = dict.fromkeys(OUTPUTS, 0)
        self._on_ms_max = on_ms_max
        self._unlocked_ms: int | None = None
        self._gate = GateMotion(run_limit_ms=RUN_LIMIT_MS, stall_ms=STALL_MS)
        for name in OUTPUTS:
            simulation.drive(name, 0)

    def active(self, line: str) -> bool:
        return self.levels[line] == 0

    def tick(self, now_ms: int) -> None:
        if self._unlocked_ms is not None and now_ms - self._unlocked_ms >= self._on_ms_max:
            self.lock_flap()
        self._gate.tick(self._switches(), now_ms)
        self._run_motor()

    @property
    def moving(self) -> bool:
        return self._gate.motor != "off"

    def read(self) -> Levels:
        return Levels(
            door_closed=self.active("door"),
            flap_closed=self.active("flap_closed"),
            beam_a_blocked=self.active("beam_a"),
            beam_b_blocked=self.active("beam_b"),
            gate=self._switches().position,
            gate_fault=self._gate.fault,
        )

    def unlock_flap(self, now_ms: int) -> None:
        if self._unlocked_ms is None:
            self._unlocked_ms = now_ms
        self._drive("flap_lock", 1)

    def lock_flap(self) -> None:
        self._unlocked_ms = None
        self._drive("flap_lock", 0)

    def turn_gate(self, to: Target, now_ms: int) -> None:
        self._gate.turn(to, self._switches(), now_ms)
        self._run_motor()

    def stop_gate(self) -> None:
        self._gate.stop()
        self._run_motor()

    def _switches(self) -> Switches:
        return Switches(
            store=self.active("gate_store"), return_=self.active("gate_return"), home=self.active("gate_home")
        )

    def _run_motor(self) -> None:
        motor = self._gate.motor
        for name, wanted in (("gate_in1", motor == "in1"), ("gate_in2", motor == "in2")):
            if not wanted:
                self._drive(name, 0)
        if motor != "off":
            self._drive(f"gate_{motor}", 1)

    def _drive(self, name: str, level: int) -> None:
        if self._driven[name] != level:
            self._driven[name] = level
            self._simulation.drive(name, level)
