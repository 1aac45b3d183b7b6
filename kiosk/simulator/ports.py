"""Serial ports that the daemon opens as it would open real ones: pseudo-terminals behind fixed names."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import tty
from pathlib import Path

EXTPROC = 0o200000
"""Linux: with it, packet mode also reports that somebody changed the settings (asm-generic/termbits.h)."""
LFLAG, ISPEED, OSPEED = 3, 4, 5
IDLE_SPEEDS = (termios.B50, termios.B75)
"""Which no device here uses; a pseudo-terminal takes no notice of speed."""


class Port:
    """One device's port, ``path`` being a link to it for as long as the device is plugged in.

    Our own handle on the far end stays open, so that a daemon that dies takes neither the port nor its settings away.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ours: int | None = None
        self._theirs: int | None = None
        self._idle_speed = IDLE_SPEEDS[0]

    @property
    def handle(self) -> int | None:
        """Readable when :meth:`hear` has something to do; null while unplugged."""
        return self._ours

    def plug(self) -> None:
        if self._ours is not None:
            return
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        settings = termios.tcgetattr(self._theirs)
        settings[LFLAG] |= EXTPROC
        termios.tcsetattr(self._theirs, termios.TCSANOW, settings)
        fcntl.ioctl(self._ours, termios.TIOCPKT, struct.pack("i", 1))
        os.set_blocking(self._ours, False)
        self._forget_speed()
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(os.ttyname(self._theirs))

    def unplug(self) -> None:
        """The link goes, and whoever has the port open gets a hang-up."""
        if self._ours is None or self._theirs is None:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = self._theirs = None

    def write(self, data: bytes) -> None:
        """Never blocks: nobody reads while the daemon is down, and then the oldest bytes are lost, as in a UART."""
        if self._ours is None or self._theirs is None:
            return
        try:
            written = os.write(self._ours, data)
        except BlockingIOError:
            written = 0
        if written < len(data):
            termios.tcflush(self._theirs, termios.TCIFLUSH)
            with contextlib.suppress(BlockingIOError):
                os.write(self._ours, data[written:])

    def hear(self) -> None:
        """These devices take no commands; unread, what the daemon sends would block it in the end."""
        if self._ours is None:
            return
        with contextlib.suppress(BlockingIOError):
            os.read(self._ours, 4_096)
        self._forget_speed()

    def _forget_speed(self) -> None:
        """Leave something for the next open to change.

        A pseudo-terminal has neither seven bits nor parity, and Debian's C library calls a change of settings
        invalid (EINVAL) when they read afterwards as before: so it would be when a daemon opens 7E1 for the second
        time. Two speeds in turn, because that reading may come after this.
        """
        assert self._theirs is not None
        settings = termios.tcgetattr(self._theirs)
        if settings[OSPEED] not in IDLE_SPEEDS:
            self._idle_speed = IDLE_SPEEDS[IDLE_SPEEDS[0] == self._idle_speed]
            settings[ISPEED] = settings[OSPEED] = self._idle_speed
            termios.tcsetattr(self._theirs, termios.TCSANOW, settings)
