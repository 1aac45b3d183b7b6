"""The temperature in the bin, and the DS18B20 that measures it."""

from __future__ import annotations

from typing import Literal

from kiosk.simulator.devices_far_end import DS18B20_POWER_ON, ds18b20_scratchpad, w1_slave_text

SensorFault = Literal["power_on", "crc", "zero", "stale", "missing"]
"""85 degrees, CRC NO, all zero (a cut wire), the file no longer changes, the file is gone."""

ROOM_MC = 21_000


class Thermometer:
    """A temperature that ramps, in thousandths of a degree Celsius."""

    def __init__(self, now_ns: int) -> None:
        self._from_mc = ROOM_MC
        self._to_mc = ROOM_MC
        self._since_ns = now_ns
        self._ramp_ns = 0
        self.fault: SensorFault | None = None
        self.text: str | None = w1_slave_text(ds18b20_scratchpad(ROOM_MC))
        """What the sensor's file reads; null: there is no file."""

    def heat(self, to_mc: int, ramp_ns: int, now_ns: int) -> None:
        self._from_mc = self.milli_celsius(now_ns)
        self._to_mc = to_mc
        self._since_ns = now_ns
        self._ramp_ns = ramp_ns

    def milli_celsius(self, now_ns: int) -> int:
        elapsed_ns = now_ns - self._since_ns
        if elapsed_ns >= self._ramp_ns:
            return self._to_mc
        return self._from_mc + (self._to_mc - self._from_mc) * elapsed_ns // self._ramp_ns

    def convert(self, now_ns: int) -> bool:
        """Measure; true when the file reads differently from before."""
        before = self.text
        match self.fault:
            case None:
                self.text = w1_slave_text(ds18b20_scratchpad(self.milli_celsius(now_ns)))
            case "power_on":
                self.text = w1_slave_text(DS18B20_POWER_ON)
            case "crc":
                self.text = w1_slave_text(ds18b20_scratchpad(self.milli_celsius(now_ns)), crc_ok=False)
            case "zero":
                self.text = w1_slave_text(bytes(8))
            case "missing":
                self.text = None
            case "stale":
                pass
        return self.text != before
