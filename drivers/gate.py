"""The gate that tips the weigh shelf: a motor on an H-bridge, two end stops and home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpiozero import DigitalInputDevice, DigitalOutputDevice

Target = Literal["store", "return", "home"]
Position = Literal["home", "store", "return", "between"]
Fault = Literal["stall", "run_limit", "end_stops_disagree"]
Motor = Literal["off", "in1", "in2"]

_SIDE_REACHED: dict[Motor, Position] = {"in1": "store", "in2": "return"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The three switches, True where the shelf stands."""

    store: bool
    return_: bool
    home: bool

    @property
    def believable(self) -> bool:
        return self.store + self.return_ + self.home <= 1

    @property
    def position(self) -> Position:
        """Where the shelf stands; ``between`` also when the switches contradict each other."""
        if not self.believable:
            return "between"
        if self.store:
            return "store"
        if self.return_:
            return "return"
        return "home" if self.home else "between"


class GateMotion:
    """What the motor should do, from switches and time alone.

    in1 runs towards the store, in2 towards the return way; home lies between them. Home is sought from the side where
    the shelf was last seen, or towards the store when that is unknown (what lies on a forgotten shelf is never given
    out), and the other way from an end stop.

    ``run_limit_ms`` bounds one turn. ``stall_ms``: a running motor must have left the switch that it stood on.
    """

    def __init__(self, *, run_limit_ms: int, stall_ms: int) -> None:
        self._run_limit_ms = run_limit_ms
        self._stall_ms = stall_ms
        self._target: Target | None = None
        self._started_ms = 0
        self._standing: Position = "between"
        self._standing_ms = 0
        self._side: Position | None = None
        self._ran: Literal["in1", "in2"] | None = None
        self.motor: Motor = "off"
        self.fault: Fault | None = None

    def turn(self, to: Target, switches: Switches, now_ms: int) -> None:
        """Run until that switch is reached. Clears the fault of the turn before."""
        self.stop()
        self.fault = None
        self._target = to
        self._started_ms = self._standing_ms = now_ms
        self._standing = switches.position
        self.tick(switches, now_ms)

    def stop(self) -> None:
        self.motor = "off"
        self._target = None

    def tick(self, switches: Switches, now_ms: int) -> None:
        """Take the switches as they are now."""
        if not switches.believable:
            self._fail("end_stops_disagree")
            return
        position = switches.position
        self._follow(position)
        if self._target is None:
            return
        if position == self._target:
            self.stop()
        elif now_ms - self._started_ms >= self._run_limit_ms:
            self._fail("run_limit")
        elif self._stalled(position, now_ms):
            self._fail("stall")
        else:
            self.motor = self._ran = self._direction()

    def _follow(self, position: Position) -> None:
        """Remember on which side of home the shelf is; off home, the way that the motor last ran tells."""
        if position != "between":
            self._side = position
        elif self._side == "home":
            self._side = _SIDE_REACHED[self._ran] if self._ran else None

    def _stalled(self, position: Position, now_ms: int) -> bool:
        if position != self._standing:
            self._standing = position
            self._standing_ms = now_ms
        return position != "between" and now_ms - self._standing_ms >= self._stall_ms

    def _direction(self) -> Literal["in1", "in2"]:
        if self._target == "home":
            return "in2" if self._side == "store" else "in1"
        return "in1" if self._target == "store" else "in2"

    def _fail(self, fault: Fault) -> None:
        self.stop()
        self.fault = fault


class Gate:
    """The gate on its pins (BCM numbers): switches active-low with pull-up, motor inputs active-high.

    tick() from the loop reads the switches, steers and protects the motor. In hardware the end stops cut it as well.
    """

    def __init__(
        self,
        *,
        in1: int,
        in2: int,
        store: int,
        return_: int,
        home: int,
        run_limit_ms: int,
        stall_ms: int,
    ) -> None:
        self._in1 = DigitalOutputDevice(in1, initial_value=False)
        self._in2 = DigitalOutputDevice(in2, initial_value=False)
        self._store = DigitalInputDevice(store, pull_up=True)
        self._return = DigitalInputDevice(return_, pull_up=True)
        self._home = DigitalInputDevice(home, pull_up=True)
        self._motion = GateMotion(run_limit_ms=run_limit_ms, stall_ms=stall_ms)

    @property
    def position(self) -> Position:
        return self._switches().position

    @property
    def fault(self) -> Fault | None:
        """Why the motor was cut; the next turn() clears it."""
        return self._motion.fault

    @property
    def moving(self) -> bool:
        """Whether the motor runs now."""
        return self._motion.motor != "off"

    def turn(self, to: Target, now_ms: int) -> None:
        self._motion.turn(to, self._switches(), now_ms)
        self._drive()

    def stop(self) -> None:
        self._motion.stop()
        self._drive()

    def tick(self, now_ms: int) -> None:
        self._motion.tick(self._switches(), now_ms)
        self._drive()

    def close(self) -> None:
        """Stop the motor, then free the pins."""
        self.stop()
        for device in (self._in1, self._in2, self._store, self._return, self._home):
            device.close()

    def _switches(self) -> Switches:
        return Switches(
            store=bool(self._store.is_active), return_=bool(self._return.is_active), home=bool(self._home.is_active)
        )

    def _drive(self) -> None:
        motors: tuple[tuple[DigitalOutputDevice, Motor], ...] = ((self._in1, "in1"), (self._in2, "in2"))
        # Off before on: both inputs high would brake, or with some bridges burn.
        for output, name in motors:
            if name != self._motion.motor:
                output.off()
        for output, name in motors:
            if name == self._motion.motor:
                output.on()
