"""A bin of wires alone: the far ends of scale, card reader and pins, whose every last byte has a known time.

The simulated world keeps its own time; here each byte goes out at a moment that the bench chose. What happens between
the measured moments (flap, fall, gate) happens at once.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from pathlib import Path

from kiosk.simulator.devices_far_end import and_line, ds18b20_scratchpad, rdm6300_frame, w1_slave_text
from kiosk.simulator.ports import Port

ACTIVE = {"door": 23, "flap_closed": 5, "gate_home": 9}
CLEAR = {"beam_a": 17, "beam_b": 27, "metal": 22, "gate_store": 20, "gate_return": 21}
"""BCM numbers; all inputs are active-low."""
MOTOR_TO_STORE, MOTOR_HOME = b"out 12 1", b"out 18 1"
SCALE_LINE_S = 0.1
"""A&D's usual ten lines a second."""
RDM6300_END, AND_END = b"\x03", b"\r\n"
"""Without it a frame says nothing yet. A scale's line is complete at its CR, so CR LF go out together."""
BEFORE_END_S = 0.01
"""So that the rest of the frame has been read when its end comes; shorter than any parser's silence."""
FALL_US = (("beam_a", 0, 0), ("beam_b", 0, 21_000), ("beam_a", 1, 25_000), ("beam_b", 1, 46_000))


class TinyBin:
    """Serves the folder that the simulated world would serve, until :meth:`close`."""

    def __init__(self, folder: Path) -> None:
        self._ports = {name: Port(folder / name) for name in ("card_reader", "qr_reader", "scale")}
        for port in self._ports.values():
            port.plug()
        w1 = folder / "w1" / "28-000000000001" / "w1_slave"
        w1.parent.mkdir(parents=True)
        w1.write_text(w1_slave_text(ds18b20_scratchpad(22_000)))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "pins.sock"))
        self._listener.listen()
        self._daemon: socket.socket | None = None
        self._mass_mg = 0
        self._silent = threading.Event()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_pins, self._serve_scale)]
        for thread in self._threads:
            thread.start()

    def tap(self, uid_hex: str) -> int:
        """One frame of a card; nanoseconds of CLOCK_MONOTONIC just before its last byte."""
        return self._end_of_frame("card_reader", rdm6300_frame(uid_hex), RDM6300_END)

    def drop(self, mass_mg: int) -> None:
        """Flap open, one battery through the beams, flap closed; the scale falls silent until :meth:`weigh`."""
        self._silent.set()
        self._mass_mg = mass_mg
        self._level("flap_closed", 1)
        began_ns = time.monotonic_ns() - FALL_US[-1][2] * 1_000
        for line, level, at_us in FALL_US:
            self._level(line, level, began_ns + at_us * 1_000)
        self._level("flap_closed", 0)

    def weigh(self) -> int:
        """Two equal stable lines; nanoseconds of CLOCK_MONOTONIC just before the end of the second."""
        line = and_line(self._mass_mg, stable=True)
        self._ports["scale"].write(line)
        time.sleep(SCALE_LINE_S)
        return self._end_of_frame("scale", line, AND_END)

    def speak(self) -> None:
        """Let the scale go on by itself."""
        self._silent.clear()

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()
        for port in self._ports.values():
            port.unplug()
        self._listener.close()

    def _end_of_frame(self, device: str, frame: bytes, end: bytes) -> int:
        self._ports[device].write(frame.removesuffix(end))
        time.sleep(BEFORE_END_S)
        now_ns = time.monotonic_ns()
        self._ports[device].write(end)
        return now_ns

    def _serve_scale(self) -> None:
        while not self._closing.wait(SCALE_LINE_S):
            if not self._silent.is_set():
                self._ports["scale"].write(and_line(self._mass_mg, stable=True))

    def _serve_pins(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ, lambda: self._greet(selector))
            for port in self._ports.values():
                assert port.handle is not None
                selector.register(port.handle, selectors.EVENT_READ, port.hear)
            while not self._closing.is_set():
                for key, _ in selector.select(0.1):
                    key.data()

    def _greet(self, selector: selectors.BaseSelector) -> None:
        self._daemon = self._listener.accept()[0]
        selector.register(self._daemon, selectors.EVENT_READ, lambda: self._hear(selector))
        for line in (*ACTIVE, *CLEAR):
            self._level(line, 0 if line in ACTIVE else 1)
        self._send(b"ready\n")

    def _hear(self, selector: selectors.BaseSelector) -> None:
        assert self._daemon is not None
        try:
            said = self._daemon.recv(4096)
        except ConnectionError:
            said = b""
        if not said:
            selector.unregister(self._daemon)
            self._daemon.close()
            return
        for out in said.splitlines():
            if out == MOTOR_TO_STORE:
                self._level("gate_home", 1)
                self._level("gate_store", 0)
                self._mass_mg = 0
            elif out == MOTOR_HOME:
                self._level("gate_store", 1)
                self._level("gate_home", 0)

    def _level(self, line: str, level: int, t_ns: int | None = None) -> None:
        bcm = (ACTIVE | CLEAR)[line]
        self._send(b"level %d %d %d\n" % (bcm, level, t_ns or time.monotonic_ns()))

    def _send(self, line: bytes) -> None:
        assert self._daemon is not None
        # A daemon that is being stopped hears no more; the next one asks for all levels anyway.
        with contextlib.suppress(OSError):
            self._daemon.sendall(line)
