"""What drivers raise when a device is gone; bytes that make no sense are values (:class:`drivers.readings.Corrupt`)."""

from __future__ import annotations


class DriverError(Exception):
    """A device cannot be used."""


class PortLost(DriverError, OSError):
    """A serial port cannot be opened, or went away while it was open."""


class SensorLost(DriverError, OSError):
    """A sensor's file cannot be read."""
