"""DS18B20: 1-Wire thermometer behind the kernel's w1_therm driver."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from drivers.errors import SensorLost
from drivers.readings import Corrupt, TemperatureRead

RANGE_MILLI_CELSIUS = (-55_000, 125_000)
"""Measuring range in the data sheet."""
POWER_ON_MILLI_CELSIUS = 85_000
"""The register's content before the first conversion."""

_READING = re.compile(
    rb"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)\n"
    rb"(?:[0-9a-f]{2} ){9}t=(-?[0-9]{1,6})(?![0-9])\n?"
)
_UNPOWERED = b"00 " * 9


class Ds18b20:
    """One thermometer. ``path``: its ``w1_slave`` file, /sys/bus/w1/devices/28-.../w1_slave."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> TemperatureRead | Corrupt:
        """Convert and read: takes up to a second on a real bus, so never from the loop.

        Raises SensorLost when the file cannot be read: the sensor left the bus, or its driver is not loaded.
        """
        try:
            text = self._path.read_bytes()
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            raise SensorLost(f"thermometer {self._path}: gone ({name}); check wiring and dtoverlay=w1-gpio") from error
        return parse_w1_slave(text)


def parse_w1_slave(text: bytes) -> TemperatureRead | Corrupt:
    """What the kernel says of one conversion.

    nine bytes in hex ": crc=" byte " " YES|NO LF
    nine bytes in hex "t=" thousandths of a degree Celsius LF

    Reasons of :class:`Corrupt`: ``bad_format``, ``bad_crc``, ``all_zero_disconnected`` (a cut wire: the CRC of all
    zeroes is right), ``power_on_reset_85C``, ``out_of_range``.
    Source: Linux Documentation/w1/slaves/w1_therm.rst.
    """
    match = _READING.fullmatch(text)
    if match is None:
        return Corrupt(reason="bad_format", raw=text)
    scratchpad, crc, digits = match.groups()
    milli_celsius = int(digits)
    if crc == b"NO":
        return Corrupt(reason="bad_crc", raw=text)
    if scratchpad == _UNPOWERED:
        return Corrupt(reason="all_zero_disconnected", raw=text)
    # A true 85.000 is given up with it: its neighbours, a sixteenth of a degree away, are believed.
    if milli_celsius == POWER_ON_MILLI_CELSIUS:
        return Corrupt(reason="power_on_reset_85C", raw=text)
    low, high = RANGE_MILLI_CELSIUS
    if not low <= milli_celsius <= high:
        return Corrupt(reason="out_of_range", raw=text)
    return TemperatureRead(milli_celsius=milli_celsius)


def parse_w1_slaves(text: bytes) -> list[TemperatureRead | Corrupt]:
    """Several conversions, one behind the other, as a log of the file holds them; what lies between is Corrupt."""
    readings: list[TemperatureRead | Corrupt] = []
    position = 0
    for match in _READING.finditer(text):
        if between := text[position : match.start()].strip():
            readings.append(Corrupt(reason="bad_format", raw=between))
        readings.append(parse_w1_slave(match[0]))
        position = match.end()
    if behind := text[position:].strip():
        readings.append(Corrupt(reason="bad_format", raw=behind))
    return readings
