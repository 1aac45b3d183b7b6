"""What drivers report: plain values, one class per thing that a device can say."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRead:
    """One good frame of a card reader. ``uid_hex`` is canonical: upper case, no separators."""

    scheme: str
    uid_hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInserted:
    """A card came into the field: once, however often the reader repeats it."""

    scheme: str
    uid_hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRemoved:
    """The card left the field: the reader has been silent for its removal time."""

    scheme: str
    uid_hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeScanned:
    """One line of a QR engine, without its terminator. ``aim_id``: its AIM symbology identifier, if it sends one."""

    text: str
    aim_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MassRead:
    """One reading of a scale, gross. ``value`` and ``unit``: the same mass as the scale wrote it, for a technician."""

    mass_mg: int
    stable: bool
    value: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MassOverload:
    """The scale says that it is over or under its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureRead:
    """One good conversion of a temperature sensor, in thousandths of a degree Celsius."""

    milli_celsius: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt:
    """Bytes that were no valid frame. ``reason`` is a short code such as ``bad_checksum``."""

    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A digital input changed. ``t_ns`` is CLOCK_MONOTONIC; ``active`` is already freed of active-low wiring."""

    line: str
    active: bool
    t_ns: int
