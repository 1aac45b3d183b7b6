"""The flap's lock: a solenoid that unlocks while it has power."""

from __future__ import annotations

from gpiozero import DigitalOutputDevice


class FlapLock:
    """Lock on an output, active-high: powered is unlocked, so a dead controller is locked.

    ``pin``: BCM number. ``on_ms_max``: the solenoid's permitted on-time; tick() locks after it, whatever was asked.
    """

    def __init__(self, pin: int, *, on_ms_max: int) -> None:
        self._output = DigitalOutputDevice(pin, initial_value=False)
        self._on_ms_max = on_ms_max
        self._unlocked_ms: int | None = None

    @property
    def unlocked(self) -> bool:
        return self._unlocked_ms is not None

    def unlock(self, now_ms: int) -> None:
        """Power the solenoid. Asked again while unlocked, the on-time still counts from the first time."""
        if self._unlocked_ms is None:
            self._unlocked_ms = now_ms
            self._output.on()

    def lock(self) -> None:
        self._output.off()
        self._unlocked_ms = None

    def tick(self, now_ms: int) -> None:
        if self._unlocked_ms is not None and now_ms - self._unlocked_ms >= self._on_ms_max:
            self.lock()

    def close(self) -> None:
        """Lock, then free the pin."""
        self.lock()
        self._output.close()
