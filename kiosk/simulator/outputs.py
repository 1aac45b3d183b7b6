"""What the world does to its surroundings: returned by :meth:`kiosk.simulator.world.World.advance` in order of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PinChanged:
    """An input of the controller changed. ``level`` is electrical: 0 is active; ``t_ns`` is when it physically did."""

    bcm: int
    level: int
    t_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSent:
    """A device (``card_reader``, ``qr_reader``, ``scale``) sent bytes; one frame may come in several pieces."""

    device: str
    data: bytes
    t_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class W1Changed:
    """The kernel's ``w1_slave`` file reads differently; null: the sensor is gone and its file with it."""

    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChanged:
    """A serial device was unplugged from USB, or plugged in again."""

    device: str
    present: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that an onlooker sees; no wire carries it. ``fields`` is JSON-able."""

    name: str
    t_ns: int
    fields: dict[str, str | int | bool | None]


Output = PinChanged | SerialSent | W1Changed | PortChanged | Happened
