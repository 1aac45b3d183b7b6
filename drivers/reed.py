"""A reed switch that says closed."""

from __future__ import annotations

from gpiozero import DigitalInputDevice


class Reed:
    """Door or flap. ``pin``: BCM number, active-low with pull-up, so that a cut wire reads open."""

    def __init__(self, pin: int) -> None:
        self._input = DigitalInputDevice(pin, pull_up=True)

    @property
    def closed(self) -> bool:
        return bool(self._input.is_active)

    def close(self) -> None:
        """Free the pin."""
        self._input.close()
