"""The pins of a simulated bin: gpiozero's mock pins, wired to the world's process through a socket."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin

from drivers.readings import Edge

RETRY_MS = 100
"""The world starts beside the daemon, and may be restarted; this is only a socket on the same machine."""
SEND_MS_MAX = 200
"""A world that does not read for so long is as good as gone; the loop, which sets the outputs, waits no longer."""
LINE_BYTES_MAX = 128

_log = logging.getLogger(__name__)


class SimulatedPins:
    """Sets gpiozero's pin factory, so build it before any device; and is the edge source of the lines named to it.

    Unix stream socket, text lines ending in LF:

    world -> here: "level" bcm 0|1 t_ns   every input at connecting, then each change; t_ns is CLOCK_MONOTONIC
                   "ready"                the inputs were all said
    here -> world: "out" bcm 0|1          every output at connecting, then each change

    While the world is away every input reads 1, as if its wire were cut: door open, flap not closed.
    ``lines``: name -> BCM pin, active-low.
    """

    def __init__(self, socket_path: str, lines: Mapping[str, int] | None = None) -> None:
        self._socket_path = socket_path
        self._line_of = {bcm: line for line, bcm in (lines or {}).items()}
        self._on_edge: Callable[[Edge], None] | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._sending = threading.Lock()
        self._world: socket.socket | None = None
        self._outputs: dict[int, bool] = {}
        self._thread = threading.Thread(target=self._run, name="simulated pins", daemon=True)
        self._factory_before = Device.pin_factory
        self._factory = _WorldFactory(self._report)
        Device.pin_factory = self._factory

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        """Connect, and keep connecting."""
        self._on_edge = on_edge
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the world has said all its inputs; False when it did not in time."""
        return self._ready.wait(timeout_s)

    def active(self, line: str) -> bool:
        """The line's level now."""
        return not all(self._factory.level(bcm) for bcm, name in self._line_of.items() if name == line)

    def close(self) -> None:
        """Hang up and give gpiozero its former pin factory back. Close the devices before."""
        self._stopping.set()
        with self._sending:
            self._hang_up()
        if self._thread.is_alive():
            self._thread.join()
        Device.pin_factory = self._factory_before

    def _run(self) -> None:
        while not self._stopping.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as world:
                world.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, SEND_MS_MAX * 1_000))
                try:
                    world.connect(self._socket_path)
                    self._greet(world)
                    self._listen(world)
                except OSError as error:
                    _log.debug("world at %s: %s", self._socket_path, error)
                with self._sending:
                    self._world = None
            self._ready.clear()
            for bcm in list(self._factory.levels):
                self._take(bcm, True, time.monotonic_ns())
            self._stopping.wait(RETRY_MS / 1_000)

    def _greet(self, world: socket.socket) -> None:
        with self._sending:
            world.sendall(b"".join(_out(bcm, level) for bcm, level in self._outputs.items()))
            self._world = world

    def _listen(self, world: socket.socket) -> None:
        pending = b""
        while not self._stopping.is_set():
            data = world.recv(4096)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            pending = pending[:LINE_BYTES_MAX]
            for line in lines:
                self._obey(line)

    def _obey(self, line: bytes) -> None:
        match line.split():
            case [b"level", bcm, (b"0" | b"1") as level, t_ns] if bcm.isdigit() and t_ns.isdigit():
                self._take(int(bcm), level == b"1", int(t_ns))
            case [b"ready"]:
                self._ready.set()
            case _:
                _log.warning("the world said %r, which means nothing here", line)

    def _take(self, bcm: int, level: bool, t_ns: int) -> None:
        try:
            changed = self._factory.drive(bcm, level)
            line = self._line_of.get(bcm)
            if changed and line is not None and self._on_edge is not None:
                self._on_edge(Edge(line=line, active=not level, t_ns=t_ns))
        except Exception:
            # Whoever listens, or a pin that does not exist: the other pins go on.
            _log.exception("input %d was not taken", bcm)

    def _report(self, bcm: int, level: bool) -> None:
        with self._sending:
            if self._outputs.get(bcm) == level:
                return
            self._outputs[bcm] = level
            if self._world is None:
                return
            try:
                self._world.sendall(_out(bcm, level))
            except OSError as error:
                _log.debug("world at %s: %s", self._socket_path, error)
                self._hang_up()

    def _hang_up(self) -> None:
        """Under the lock. Shut down, not closed: what was written still arrives, and the thread's recv() returns."""
        world, self._world = self._world, None
        if world is not None:
            with suppress(OSError):
                world.shutdown(socket.SHUT_RDWR)


class _WorldFactory(MockFactory):  # type: ignore[misc]
    """Mock pins that follow the world's levels and report outputs. Pins are made and driven from several threads."""

    def __init__(self, report: Callable[[int, bool], None]) -> None:
        super().__init__(pin_class=_WorldPin)
        self.report = report
        self.lock = threading.RLock()
        self.levels: dict[int, bool] = {}
        """What the world holds its inputs at; it has not spoken of the others."""

    def pin(self, name: str | int, pin_class: type[MockPin] | None = None, **options: object) -> MockPin:
        with self.lock:
            return super().pin(name, pin_class, **options)

    def level(self, bcm: int) -> bool:
        return self.levels.get(bcm, True)

    def drive(self, bcm: int, level: bool) -> bool:
        """Put an input to that level, firing gpiozero's handlers; True when it changed."""
        with self.lock:
            pin = self.pin(bcm)
            changed = self.level(bcm) != level
            self.levels[bcm] = level
            pin.follow_world()
            return changed


class _WorldPin(MockPin):  # type: ignore[misc]
    _state: bool

    def follow_world(self) -> None:
        level = self.factory.levels.get(self._number)
        if level is not None and self._function == "input":
            if level:
                self.drive_high()
            else:
                self.drive_low()

    def _set_pull(self, value: str) -> None:
        # The world's level is stronger than a pull-up.
        with self.factory.lock:
            super()._set_pull(value)
            self.follow_world()

    def _set_function(self, value: str) -> None:
        was_output = self._function == "output"
        super()._set_function(value)
        if was_output and value == "input":
            # GPIO 9 and up are pulled down at reset: a freed output is off.
            self.factory.report(self._number, False)

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self.factory.report(self._number, bool(value))

    def _change_state(self, value: bool) -> bool:
        # Without the list of past states that a mock pin keeps for tests: it would grow for ever.
        changed = self._state != value
        self._state = value
        self._last_change = time.monotonic()
        return changed


def _out(bcm: int, level: bool) -> bytes:
    return b"out %d %d\n" % (bcm, level)
