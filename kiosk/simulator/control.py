"""Commands of ``control.sock``: one JSON object a line, ``{"do": "drop", "kind": "aa"}``; each is answered by one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from kiosk.simulator.items import Orientation
from kiosk.simulator.thermometer import SensorFault
from kiosk.simulator.world import World

Answer = dict[str, Any]
Device = Literal["card_reader", "qr_reader", "scale"]


class Command(Struct, forbid_unknown_fields=True, tag_field="do"):
    """``apply`` does it and returns what the answer holds beside ``ok``; it raises ValueError for what cannot be."""

    watches: ClassVar[bool] = False

    def apply(self, world: World) -> Answer:
        raise NotImplementedError


class Tap(Command, tag="tap"):
    """A card is shown briefly. ``card``: "0" to "15", or ten hexadecimal digits."""

    card: str

    def apply(self, world: World) -> Answer:
        world.tap(self.card)
        return {}


class Hold(Command, tag="hold"):
    """A card is left on the reader; null takes it away."""

    card: str | None

    def apply(self, world: World) -> Answer:
        world.hold(self.card)
        return {}


class Scan(Command, tag="scan"):
    text: str

    def apply(self, world: World) -> Answer:
        world.scan(self.text)
        return {}


class Drop(Command, tag="drop"):
    """A resident throws an item in as soon as the flap lets them; answers ``fall_id``."""

    kind: str
    string: bool = False
    hurried: bool = False
    misses_shelf: bool = False
    orientation: Orientation | None = None
    speed_mm_s: Annotated[int, Meta(ge=100, le=10_000)] | None = None
    mass_mg: Annotated[int, Meta(ge=1, le=5_000_000)] | None = None

    def apply(self, world: World) -> Answer:
        fall_id = world.drop(
            self.kind,
            string=self.string,
            hurried=self.hurried,
            misses_shelf=self.misses_shelf,
            orientation=self.orientation,
            speed_mm_s=self.speed_mm_s,
            mass_mg=self.mass_mg,
        )
        return {"fall_id": fall_id}


class Hand(Command, tag="hand"):
    ms: Annotated[int, Meta(ge=1, le=600_000)] = 1_500
    reaches_b: bool = False

    def apply(self, world: World) -> Answer:
        world.hand(self.ms, reaches_b=self.reaches_b)
        return {}


class Ghost(Command, tag="ghost"):
    """The beams see a fall; nothing falls."""

    def apply(self, world: World) -> Answer:
        world.ghost()
        return {}


class Place(Command, tag="place"):
    """An item comes onto the shelf without passing the beams; answers ``fall_id``."""

    kind: str

    def apply(self, world: World) -> Answer:
        return {"fall_id": world.place(self.kind)}


class PullOut(Command, tag="pull_out"):
    def apply(self, world: World) -> Answer:
        return {"fall_id": world.pull_out()}


class EmptyStore(Command, tag="empty_store"):
    def apply(self, world: World) -> Answer:
        return {"count": world.empty_store()}


class Door(Command, tag="door"):
    open: bool

    def apply(self, world: World) -> Answer:
        world.door(is_open=self.open)
        return {}


class StickFlap(Command, tag="stick_flap"):
    """``open_now`` wedges it open at once; without it, it stays open when next pushed."""

    stuck: bool = True
    open_now: bool = False

    def apply(self, world: World) -> Answer:
        world.stick_flap(self.stuck, open_now=self.open_now)
        return {}


class JamGate(Command, tag="jam_gate"):
    jammed: bool = True

    def apply(self, world: World) -> Answer:
        world.jam_gate(self.jammed)
        return {}


class Line(Command, tag="line"):
    """Hold an input wire at an electrical level: 1 is a cut wire, 0 on a beam a beam that stays blocked; null mends."""

    line: str
    level: Literal[0, 1] | None

    def apply(self, world: World) -> Answer:
        world.force_line(self.line, self.level)
        return {}


class Heat(Command, tag="heat"):
    milli_celsius: Annotated[int, Meta(ge=-55_000, le=125_000)]
    ramp_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0

    def apply(self, world: World) -> Answer:
        world.heat(self.milli_celsius, self.ramp_ms)
        return {}


class BreakSensor(Command, tag="break_sensor"):
    """The temperature sensor fails in that way; null mends it."""

    fault: SensorFault | None

    def apply(self, world: World) -> Answer:
        world.break_sensor(self.fault)
        return {}


class UpsetScale(Command, tag="upset_scale"):
    """Without fields: the usual noise, no drift."""

    noise_mg: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    drift_mg_s: Annotated[int, Meta(ge=-100_000, le=100_000)] = 0

    def apply(self, world: World) -> Answer:
        world.upset_scale(noise_mg=self.noise_mg, drift_mg_s=self.drift_mg_s)
        return {}


class Noise(Command, tag="noise"):
    """Random bytes on a serial line now, or, with ``per_mille``, one wrong byte in that share of its frames."""

    device: Device
    count: Annotated[int, Meta(ge=0, le=4_096)] = 0
    per_mille: Annotated[int, Meta(ge=0, le=1_000)] | None = None

    def apply(self, world: World) -> Answer:
        world.noise(self.device, self.count)
        if self.per_mille is not None:
            world.make_noisy(self.device, self.per_mille)
        return {}


class Plug(Command, tag="plug"):
    device: Device
    present: bool

    def apply(self, world: World) -> Answer:
        world.plug(self.device, present=self.present)
        return {}


class Power(Command, tag="power"):
    on: bool

    def apply(self, world: World) -> Answer:
        world.power(on=self.on)
        return {}


class CutPowerAt(Command, tag="cut_power_at"):
    """Mains fail at the next such event, once; the watch stream then says ``power_cut``. Null: no longer."""

    event: Literal["motor_on", "flap_unlocked", "fell", "tipped"] | None

    def apply(self, world: World) -> Answer:
        world.cut_power_at(self.event)
        return {}


class State(Command, tag="state"):
    """Answers ``snapshot``."""

    def apply(self, world: World) -> Answer:
        return {"snapshot": world.snapshot()}


class Truth(Command, tag="truth"):
    """Answers ``falls``: every item, what it is, when it fell and where it lies."""

    def apply(self, world: World) -> Answer:
        return {"falls": msgspec.to_builtins(world.truth)}


class Watch(Command, tag="watch"):
    """From now on this connection is also sent ``{"snapshot": ...}`` on change and ``{"event": ...}`` as it happens."""

    watches: ClassVar[bool] = True

    def apply(self, world: World) -> Answer:
        return {"snapshot": world.snapshot()}


AnyCommand = (
    Tap
    | Hold
    | Scan
    | Drop
    | Hand
    | Ghost
    | Place
    | PullOut
    | EmptyStore
    | Door
    | StickFlap
    | JamGate
    | Line
    | Heat
    | BreakSensor
    | UpsetScale
    | Noise
    | Plug
    | Power
    | CutPowerAt
    | State
    | Truth
    | Watch
)

_names = sorted(str(command.__struct_config__.tag) for command in Command.__subclasses__())
_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)


def obey(line: bytes, world: World) -> tuple[bytes, bool]:
    """Do one command; the answer's line, and whether the connection watches from now on.

    The answer is ``{"ok": true, ...}``, or ``{"ok": false, "error": "..."}`` for what is no command or cannot be done.
    """
    try:
        command = _decoder.decode(line)
        answer = {"ok": True, **command.apply(world)}
    except ValueError as error:  # msgspec's decoding and validation errors are ValueErrors too
        hint = f"; commands are {', '.join(_names)}" if "`$.do`" in str(error) or "`do`" in str(error) else ""
        return msgspec.json.encode({"ok": False, "error": str(error) + hint}) + b"\n", False
    return msgspec.json.encode(answer) + b"\n", command.watches
