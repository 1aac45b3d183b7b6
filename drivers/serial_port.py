"""A serial port that comes back: one thread that reads, and reopens what was unplugged."""

from __future__ import annotations

import errno
import logging
import os
import select
import termios
import threading
import time
from collections.abc import Callable
from typing import Literal

import serial

from drivers.errors import PortLost

READ_BYTES_MAX = 4096
RETRY_MS = 1_000

_REMEDIES = {
    errno.ENOENT: "gone",
    errno.EACCES: "no permission, add the daemon's user to the group dialout",
    errno.EAGAIN: "in use by another program, end that one",
}

_log = logging.getLogger(__name__)


class SerialPort:
    """Bytes from ``path``, for as long as the program runs.

    All callbacks come from the port's own thread, one at a time: ``on_returned()`` when the port was opened, at start
    too; ``on_bytes(data)`` as they arrive; ``on_silence()`` once when the line has been silent for ``silence_ms`` after
    bytes; ``on_lost(reason)`` once when it cannot be opened or went away. A lost port is closed; every ``retry_ms`` it
    is tried again.

    A callback that raises is a programming error of its owner. It costs the port, not the thread: logged with its
    traceback, the port closed and reported lost with the error as reason, then opened again. So it is seen, and a card
    reader that meets one bad callback still reads the next card.
    """

    def __init__(
        self,
        path: str,
        *,
        baud: int,
        bytesize: Literal[7, 8],
        parity: Literal["N", "E", "O"],
        silence_ms: int,
        on_bytes: Callable[[bytes], None],
        on_silence: Callable[[], None],
        on_lost: Callable[[str], None],
        on_returned: Callable[[], None],
        retry_ms: int = RETRY_MS,
    ) -> None:
        self._path = path
        self._baud = baud
        self._bytesize = bytesize
        self._parity = parity
        self._silence_s = silence_ms / 1_000
        self._on_bytes = on_bytes
        self._on_silence = on_silence
        self._on_lost = on_lost
        self._on_returned = on_returned
        self._retry_s = retry_ms / 1_000
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"serial {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the port; at once, unless a callback is still running. Only after start(), once."""
        self._stopping.set()
        os.write(self._wake_write, b"x")
        self._thread.join(0.5)
        if not self._thread.is_alive():
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _run(self) -> None:
        reported = False
        while not self._stopping.is_set():
            try:
                with self._opened() as port:
                    reported = False
                    self._on_returned()
                    self._read(port)
                return
            except PortLost as error:
                reason = str(error)
            except Exception as error:
                _log.exception("%s: a callback failed", self._path)
                reason = f"{self._path}: a callback failed ({error!r})"
            if not reported:
                reported = True
                self._report_lost(f"{reason}; trying again every {self._retry_s:g} s")
            select.select([self._wake_read], [], [], self._retry_s)

    def _report_lost(self, reason: str) -> None:
        try:
            self._on_lost(reason)
        except Exception:
            _log.exception("%s: nobody could be told of the loss (%s)", self._path, reason)

    def _opened(self) -> serial.Serial:
        try:
            return serial.Serial(
                self._path,
                baudrate=self._baud,
                bytesize=self._bytesize,
                parity=self._parity,
                timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:
            raise self._lost(error) from error

    def _read(self, port: serial.Serial) -> None:
        """Read until close() is called; raise PortLost when the port is gone."""
        spoken_s: float | None = None
        while not self._stopping.is_set():
            patience_s = self._retry_s
            if spoken_s is not None:
                patience_s = max(0.0, spoken_s + self._silence_s - time.monotonic())
            ready, _, _ = select.select([port.fileno(), self._wake_read], [], [], patience_s)
            if port.fileno() in ready:
                self._on_bytes(self._bytes_of(port))
                spoken_s = time.monotonic()
            elif not ready and spoken_s is not None:
                spoken_s = None
                self._on_silence()
            elif not ready:
                self._check_path(port)

    def _bytes_of(self, port: serial.Serial) -> bytes:
        try:
            return port.read(READ_BYTES_MAX)
        except OSError as error:
            raise self._lost(error) from error

    def _check_path(self, port: serial.Serial) -> None:
        # A by-path link that is gone or leads to another device: this one was unplugged, though nothing was said.
        try:
            same = os.path.samestat(os.stat(self._path), os.fstat(port.fileno()))
        except OSError as error:
            raise self._lost(error) from error
        if not same:
            raise PortLost(f"{self._path}: now leads to another device (ENODEV)")

    def _lost(self, error: Exception) -> PortLost:
        code = getattr(error, "errno", None) or errno.EIO
        remedy = _REMEDIES.get(code, str(error))
        return PortLost(f"{self._path}: {remedy} ({errno.errorcode.get(code, code)})")
