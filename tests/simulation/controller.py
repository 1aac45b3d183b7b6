"""One life of the daemon's process, without threads: the glue of ``kiosk/daemon.py`` and its devices, in virtual time.

Everything that it glues is the product's own: parsers, beams, gate, core, keeper, uploader, view and screen bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from drivers import rdm6300, scale_and
from drivers.beams import DropBeams
from drivers.ds18b20 import parse_w1_slave
from drivers.presence import CardPresence
from drivers.qr_lines import QrLines
from drivers.readings import CardInserted, CardRead, CodeScanned, Edge, MassRead, TemperatureRead
from kiosk.clock import Anchors
from kiosk.core.events import (
    Appended,
    CardPresented,
    DeviceLost,
    DeviceReturned,
    Event,
    InputsLost,
    ItemPassed,
    LevelsRead,
    MassWeighed,
    StopRequested,
    StorageFailed,
    StorageReturned,
    TemperatureMeasured,
    TemperatureMissed,
)
from kiosk.core.machine import step
from kiosk.core.settings import Settings
from kiosk.core.states import new_bin
from kiosk.core.view import View, view_of
from kiosk.perform import Performer
from kiosk.screen.sse import sse_bytes
from kiosk.simulator.outputs import Output, PinChanged, PortChanged, SerialSent, W1Changed
from sync.ledger.keeper import LedgerKeeper
from sync.ledger.ledger import Ledger
from sync.ledger.lock import LedgerLock
from sync.ledger.values import Done, Entry, Failed, LedgerEvent, Opened, Returned
from sync.records import Boot, Passage
from tests.simulation.counting import opened
from tests.simulation.pins import LINES, Pins
from tests.simulation.timers import MS
from tests.simulation.uploading import Uploading

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

LOOK_MS = 50
MOVING_LOOK_MS = 10
CHORES_MS = 1_000
PORT_RETRY_MS = 1_000
LOCK_MARGIN_MS = 5_000
CODE_REPEAT_MS = 3_000
CARD_REMOVAL_MS = 500

EDGE_LINES = {"beam_a": "a", "beam_b": "b", "metal": "metal"}


@dataclass(slots=True)
class Line:
    """A serial line as its reader thread keeps it."""

    parser: Any
    silence_ms: int
    on_reading: Callable[[Any], None]
    heard_ms: int = 0
    present: bool = True


@dataclass(slots=True)
class LedgerQueue:
    """The ledger's thread: requests one after the other, each taking its time."""

    requests: deque[Callable[[int], list[LedgerEvent]]] = field(default_factory=deque)
    busy: bool = False


class Controller:
    """Born with safe outputs; dies by being dropped. ``simulation`` is everything around the process."""

    def __init__(self, simulation: Simulation, settings: Settings) -> None:
        self._simulation = simulation
        self._timers = simulation.timers
        self._fate = simulation.fate
        self._clock = clock = simulation.clock
        self._medium = simulation.medium
        self._lock = LedgerLock(self._medium.path)
        self.keeper = LedgerKeeper(self._open_ledger)
        self._queue = LedgerQueue()
        self.pins = Pins(simulation, settings.session_idle_ms + LOCK_MARGIN_MS)
        self._beams = DropBeams()
        self._presence = CardPresence(CARD_REMOVAL_MS)
        self._code: tuple[str, int] = ("", -CODE_REPEAT_MS)
        self._lines = {
            "card_reader": Line(rdm6300.Rdm6300(), rdm6300.SILENCE_MS, self._card),
            "qr_reader": Line(QrLines(), 400, self._scanned),
            "scale": Line(scale_and.ScaleAnd(), scale_and.SILENCE_MS, self._weighed),
        }
        self._w1_text = simulation.world.w1_text()
        self._anchors = Anchors()
        self.bin = new_bin(settings, clock.mono_ms())
        self._view: View | None = None
        self._performer = Performer(self.pins, self, clock.stamp, simulation.answered)  # type: ignore[arg-type]
        self.uploading = Uploading(simulation, self)
        self.next_look_ns = self._timers.now_ns
        self._dead = False
        for line, name in EDGE_LINES.items():
            if self.pins.active(line):
                self._beams.receive(Edge(line=name, active=True, t_ns=clock.mono_ns()))
        self.after(0, self._keep)
        self.after(0, self.uploading.step)
        self.after(0, partial(self._do_chores, 0))
        self.after(300, self._measure)

    def after(self, delay_ms: float, do: Callable[[], None]) -> None:
        """Only while this process lives."""
        self._timers.after(delay_ms, lambda: None if self._dead else do())

    def drop(self) -> None:
        """Dead: nothing of it runs any more, and the kernel lets go of its lock."""
        self._dead = True
        self._lock.release()

    # --- the loop ---------------------------------------------------------------------------------------------------

    def take(self, output: Output) -> None:
        """What came over the wires."""
        match output:
            case PinChanged(bcm=bcm, level=level, t_ns=t_ns):
                line = LINES[bcm]
                self.pins.levels[line] = level
                if line in EDGE_LINES:
                    t_ns -= self._clock.boot_ns
                    self._beams.receive(Edge(line=EDGE_LINES[line], active=level == 0, t_ns=t_ns))
                    self.next_look_ns = min(self.next_look_ns, self._timers.now_ns + MOVING_LOOK_MS * MS)
            case SerialSent(device=device, data=data):
                self._heard(self._lines[device], data)
            case W1Changed(text=text):
                self._w1_text = text
            case PortChanged(device=device, present=present):
                self._plugged(device, present)
            case _:
                pass

    def look(self) -> None:
        now_ms = self._clock.mono_ms()
        self.pins.tick(now_ms)
        while (seen := self._beams.poll(self._clock.mono_ns())) is not None:
            passage = Passage(started_ms=seen.started_ns // MS, edges=seen.edges)  # type: ignore[arg-type]
            started_ns = seen.started_ns + self._clock.boot_ns
            self.handle(ItemPassed(item_id=self._simulation.new_item_id(started_ns), passage=passage))
        self.handle(LevelsRead(levels=self.pins.read()))
        moving = self.pins.moving or self._beams.passing
        self.next_look_ns = self._timers.now_ns + (MOVING_LOOK_MS if moving else LOOK_MS) * MS

    def handle(self, event: Event) -> None:
        """Step, do, and only then show."""
        now_ms = self._clock.mono_ms()
        self.bin, effects = step(self.bin, event, now_ms)
        for effect in effects:
            with self._fate.around(type(effect).__name__):
                self._performer.perform(effect)
        view = view_of(self.bin, now_ms)
        if view != self._view:
            self._fate.reach("between event and screen")
            self._view = view
            self._simulation.screen.show(sse_bytes(view))
            self._fate.reach("after screen")

    def stop(self) -> None:
        """SIGTERM."""
        self.handle(StopRequested())
        self.pins.lock_flap()
        self.pins.stop_gate()
        self.keeper.close(self._clock.mono_ms())
        self.drop()

    def _do_chores(self, count: int) -> None:
        self.after(CHORES_MS, partial(self._do_chores, count + 1))
        stamp = self._clock.stamp()
        if anchor := self._anchors.due(stamp):
            self.append_later(Entry(body=anchor, stamp=stamp))
        if count % 5 == 0:
            self.ask(self.keeper.check_storage)

    # --- readers ----------------------------------------------------------------------------------------------------

    def _heard(self, line: Line, data: bytes) -> None:
        now_ms = self._clock.mono_ms()
        if now_ms - line.heard_ms >= line.silence_ms:
            line.parser.flush()
        line.heard_ms = now_ms
        for reading in line.parser.receive(data):
            line.on_reading(reading)

    def _card(self, reading: object) -> None:
        if isinstance(reading, CardRead):
            for change in self._presence.seen(reading, self._clock.mono_ms()):
                if isinstance(change, CardInserted):
                    self.handle(CardPresented(holder=self._simulation.holder(change.scheme, change.uid_hex)))

    def _scanned(self, reading: object) -> None:
        if isinstance(reading, CodeScanned):
            before, self._code = self._code, (reading.text, self._clock.mono_ms())
            if before[0] != reading.text or self._code[1] - before[1] >= CODE_REPEAT_MS:
                self.handle(CardPresented(holder=self._simulation.holder("qr-static", reading.text)))

    def _weighed(self, reading: object) -> None:
        if isinstance(reading, MassRead):
            self.handle(MassWeighed(mass_mg=reading.mass_mg, stable=reading.stable))

    def _plugged(self, device: str, present: bool) -> None:
        if present:
            self.after(PORT_RETRY_MS, lambda: self.handle(DeviceReturned(device=device)))
        else:
            self._lines[device].parser.flush()
            self.handle(DeviceLost(device=device, detail="gone (ENODEV)"))

    def _measure(self) -> None:
        self.after(1_000, self._measure)
        reading = None if self._w1_text is None else parse_w1_slave(self._w1_text.encode())
        if isinstance(reading, TemperatureRead):
            self.handle(TemperatureMeasured(sensor="bin", milli_celsius=reading.milli_celsius))
        else:
            self.handle(TemperatureMissed(sensor="bin", reason=reading.reason if reading else "gone"))

    def lose_inputs(self) -> None:
        """The inbox was full for a moment."""
        a_blocked, b_blocked = self.pins.active("beam_a"), self.pins.active("beam_b")
        self._beams.restart(a_blocked=a_blocked, b_blocked=b_blocked, now_ns=self._clock.mono_ns())
        self.handle(InputsLost(source="pins"))

    # --- the ledger's thread ----------------------------------------------------------------------------------------

    def append(self, ticket: str, entries: list[Entry]) -> None:
        self._simulation.oracle.asked(ticket)
        self.ask(lambda now_ms: self.keeper.append(ticket, entries, now_ms))

    def append_later(self, entry: Entry) -> None:
        self.ask(lambda now_ms: self.keeper.append_later(entry, now_ms))

    def ask(self, request: Callable[[int], list[LedgerEvent]]) -> None:
        self._queue.requests.append(request)
        if not self._queue.busy:
            self._queue.busy = True
            self.after(self._simulation.disk_ms(), self._serve)

    def _serve(self) -> None:
        for event in self._queue.requests.popleft()(self._clock.mono_ms()):
            self._from_ledger(event)
        self._queue.busy = bool(self._queue.requests)
        if self._queue.busy:
            self.after(self._simulation.disk_ms(), self._serve)

    def _keep(self) -> None:
        """What the ledger's thread does when nobody asks anything."""
        due_ms = self.keeper.next_ms()
        now_ms = self._clock.mono_ms()
        if due_ms is not None and due_ms <= now_ms and not self._queue.busy:
            for event in self.keeper.step(now_ms):
                self._from_ledger(event)
        self.after(100, self._keep)

    def _open_ledger(self) -> Ledger:
        simulation = self._simulation
        return Ledger.open(
            self._medium.path,
            bin_id=simulation.identity.bin_id,
            host_id="host",
            stamp=self._clock.stamp(),
            connect=self._medium.connect,
            lock=self._lock,
            new_id=simulation.new_id,
            free_bytes_min=0,
        )

    def _from_ledger(self, event: LedgerEvent) -> None:
        match event:
            case Opened(snapshot=snapshot):
                self.append_later(Entry(body=Boot(version="0", cap_ms=snapshot.cap_ms), stamp=self._clock.stamp()))
                self.put(opened(snapshot))
            case Done(ticket=ticket, counts=counts):
                self._fate.reach("between commit and Appended")
                self.put(Appended(ticket=ticket, counts=counts))
                self.uploading.poke()
            case Failed(reason=reason):
                self.put(StorageFailed(reason=reason))
            case Returned():
                self.put(StorageReturned())

    def put(self, event: Event) -> None:
        """Into the inbox: the loop is busy for a moment."""
        self.after(1, lambda: self.handle(event))
