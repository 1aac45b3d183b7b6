"""The devices that the configuration names: built here, and their readings turned into events.

Reader threads and edge callbacks only put things into the inbox; everything that keeps state about a device (an open
passage, the gate's motor) belongs to the loop, through :meth:`Devices.look`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from drivers.beams import DropBeams
from drivers.edges import EdgeSource, GpiozeroEdges
from drivers.flap import FlapLock
from drivers.gate import Gate, Target
from drivers.readings import Edge
from drivers.reed import Reed
from drivers.simulated_pins import SimulatedPins
from kiosk.config import Config
from kiosk.core.events import Event, ItemPassed, Levels, LevelsRead
from kiosk.readers import HolderOf, Put, ThermometerThread, card_reader, qr_reader, scale
from sync.records import EdgeLine, Passage

EDGE_LINES = {"a": "beam_a", "b": "beam_b", "metal": "metal"}
Edges = tuple[tuple[EdgeLine, bool, int], ...]
"""The beams' driver names its lines freely; here they are those of :data:`EDGE_LINES`."""
SIMULATED_READY_S_MAX = 2.0
"""Until the world has said its levels every wire reads as cut, and the bin would start closed."""
LOCK_MARGIN_MS = 5_000
"""The driver's bound on the lock's on-time, beyond the session's own deadline."""


class Devices:
    """Every device of one bin. ``holder_of(scheme, uid_hex)`` is slow (a key derivation) and runs in reader threads.

    ``new_item_id`` names each thing that passes the beams. Raises :class:`drivers.errors.DriverError` or gpiozero's
    errors when pins cannot be had.
    """

    def __init__(self, config: Config, put: Put, *, holder_of: HolderOf, new_item_id: Callable[[], str]) -> None:
        self._put = put
        self._new_item_id = new_item_id
        pins = config.pins
        lines = {line: pins[name] for line, name in EDGE_LINES.items()}
        self._pins = SimulatedPins(str(config.gpio_socket), lines) if config.gpio_backend == "simulated" else None
        self._edges: EdgeSource = self._pins or GpiozeroEdges(lines, time.monotonic_ns)
        self._beams = DropBeams()
        self._door = Reed(pins["door"])
        self._flap = Reed(pins["flap_closed"])
        self._lock = FlapLock(pins["flap_lock"], on_ms_max=config.settings.session_idle_ms + LOCK_MARGIN_MS)
        self._gate = Gate(
            in1=pins["gate_in1"],
            in2=pins["gate_in2"],
            store=pins["gate_store"],
            return_=pins["gate_return"],
            home=pins["gate_home"],
            run_limit_ms=config.gate_run_limit_ms,
            stall_ms=config.gate_stall_ms,
        )
        (sensor,) = config.settings.temperature_sensors
        self._thermometer = ThermometerThread(sensor, config.temperature_file, config.temperature_period_ms, put)
        self._ports = [scale(config.scale, put)]
        if config.card_reader:
            self._ports.append(card_reader(config.card_reader, config.card_removal_ms, put, holder_of))
        if config.qr_reader:
            self._ports.append(qr_reader(config.qr_reader, put, holder_of))

    def start(self) -> None:
        """Begin to deliver. Outputs are at their safe levels already."""
        self._edges.start(lambda edge: self._put("pins", edge))
        if self._pins:
            self._pins.wait_ready(SIMULATED_READY_S_MAX)
        self._thermometer.start()
        for port in self._ports:
            port.start()

    def close(self) -> None:
        """Lock locked, motor off, then everything else."""
        self._lock.lock()
        self._gate.stop()
        self._thermometer.close()
        for port in self._ports:
            port.close()
        for device in (self._lock, self._gate, self._door, self._flap):
            device.close()
        self._edges.close()

    # --- the loop's side --------------------------------------------------------------------------------------------

    def edge(self, edge: Edge) -> None:
        """Take in one edge that came through the inbox."""
        self._beams.receive(edge)

    def edges_were_lost(self) -> None:
        """The inbox had no room for some: forget the passage in hand and believe the beams as they are."""
        self._beams.restart(
            a_blocked=self._edges.active("a"), b_blocked=self._edges.active("b"), now_ns=time.monotonic_ns()
        )

    def look(self, now_ms: int) -> list[Event]:
        """Keep the actuators within their limits and read every level input; also what the beams have completed."""
        self._lock.tick(now_ms)
        self._gate.tick(now_ms)
        events: list[Event] = []
        while (seen := self._beams.poll(time.monotonic_ns())) is not None:
            passage = Passage(started_ms=seen.started_ns // 1_000_000, edges=cast(Edges, seen.edges))
            events.append(ItemPassed(item_id=self._new_item_id(), passage=passage))
        return [*events, LevelsRead(levels=self._levels())]

    @property
    def moving(self) -> bool:
        """Whether something turns or falls right now, so that the next look should come soon."""
        return self._gate.moving or self._beams.passing

    def unlock_flap(self, now_ms: int) -> None:
        self._lock.unlock(now_ms)

    def lock_flap(self) -> None:
        self._lock.lock()

    def turn_gate(self, to: Target, now_ms: int) -> None:
        self._gate.turn(to, now_ms)

    def stop_gate(self) -> None:
        self._gate.stop()

    def _levels(self) -> Levels:
        return Levels(
            door_closed=self._door.closed,
            flap_closed=self._flap.closed,
            beam_a_blocked=self._edges.active("a"),
            beam_b_blocked=self._edges.active("b"),
            gate=self._gate.position,
            gate_fault=self._gate.fault,
        )
