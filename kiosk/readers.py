"""Serial readers and the thermometer: bytes in a thread of their own, events into the inbox.

Each function opens one device of the configuration. What a parser calls corrupt costs that frame and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from drivers import qr_lines, rdm6300, scale_and
from drivers.ds18b20 import Ds18b20
from drivers.errors import SensorLost
from drivers.presence import CardPresence
from drivers.readings import CardInserted, CardRead, CodeScanned, Edge, MassRead, TemperatureRead
from drivers.serial_port import SerialPort
from kiosk.config import SerialConfig
from kiosk.core.events import (
    CardPresented,
    DeviceLost,
    DeviceReturned,
    Event,
    MassWeighed,
    TemperatureMeasured,
    TemperatureMissed,
)
from sync.records import Holder

Put = Callable[[str, Event | Edge], None]
HolderOf = Callable[[str, str], Holder]
"""(scheme, canonical identifier) to a pseudonym. Slow, by design of the key derivation: never called in the loop."""

CODE_REPEAT_MS = 3_000
"""A QR engine reports the same code again and again while it is held before it."""
QR_SCHEME = "qr-static"


def card_reader(config: SerialConfig, removal_ms: int, put: Put, holder_of: HolderOf) -> SerialPort:
    """RDM6300: a card presented, once however long it is held."""
    parser, presence = rdm6300.Rdm6300(), CardPresence(removal_ms)

    def on_bytes(data: bytes) -> None:
        for reading in parser.receive(data):
            if isinstance(reading, CardRead):
                for change in presence.seen(reading, mono_ms()):
                    if isinstance(change, CardInserted):
                        holder = holder_of(change.scheme, change.uid_hex)
                        put("card_reader", CardPresented(holder=holder))

    return port("card_reader", config, rdm6300.SILENCE_MS, on_bytes, parser.flush, put)


def qr_reader(config: SerialConfig, put: Put, holder_of: HolderOf) -> SerialPort:
    """A QR engine that sends lines: a household's printed code is presented like a card."""
    parser = qr_lines.QrLines()
    last: tuple[str, int] = ("", -CODE_REPEAT_MS)

    def on_bytes(data: bytes) -> None:
        nonlocal last
        for reading in parser.receive(data):
            if isinstance(reading, CodeScanned):
                before, last = last, (reading.text, mono_ms())
                if before[0] != reading.text or last[1] - before[1] >= CODE_REPEAT_MS:
                    put("qr_reader", CardPresented(holder=holder_of(QR_SCHEME, reading.text)))

    return port("qr_reader", config, qr_lines.SILENCE_MS, on_bytes, parser.flush, put)


def scale(config: SerialConfig, put: Put) -> SerialPort:
    """A scale that talks all the time: gross readings."""
    parser = scale_and.ScaleAnd()

    def on_bytes(data: bytes) -> None:
        for reading in parser.receive(data):
            if isinstance(reading, MassRead):
                put("scale", MassWeighed(mass_mg=reading.mass_mg, stable=reading.stable))

    return port("scale", config, scale_and.SILENCE_MS, on_bytes, parser.flush, put)


def port(
    name: str,
    config: SerialConfig,
    silence_ms: int,
    on_bytes: Callable[[bytes], None],
    flush: Callable[[], object],
    put: Put,
) -> SerialPort:
    """A serial port whose loss and return are events."""
    return SerialPort(
        str(config.port),
        baud=config.baud,
        bytesize=cast(Literal[7, 8], config.bytesize),
        parity=cast(Literal["N", "E", "O"], config.parity),
        silence_ms=silence_ms,
        on_bytes=on_bytes,
        on_silence=lambda: cast(None, flush()),
        on_lost=lambda reason: put(name, DeviceLost(device=name, detail=reason)),
        on_returned=lambda: put(name, DeviceReturned(device=name)),
    )


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class ThermometerThread:
    """Reads a DS18B20 every ``period_ms``; a conversion takes 750 ms, so it has a thread of its own."""

    def __init__(self, name: str, path: Path, period_ms: int, put: Put) -> None:
        self._name = name
        self._sensor = Ds18b20(path)
        self._period_s = period_ms / 1000
        self._put = put
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="thermometer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ask the thread to end; it does after the conversion in hand."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._put("temperature", self._measured())
            self._stopping.wait(self._period_s)

    def _measured(self) -> Event:
        try:
            reading = self._sensor.read()
        except SensorLost as error:
            return TemperatureMissed(sensor=self._name, reason=str(error))
        if isinstance(reading, TemperatureRead):
            return TemperatureMeasured(sensor=self._name, milli_celsius=reading.milli_celsius)
        return TemperatureMissed(sensor=self._name, reason=reading.reason)
