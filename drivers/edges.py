"""Timestamped edges of the inputs whose order and length matter: the drop beams and the metal sensor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from gpiozero import DigitalInputDevice

from drivers.readings import Edge

_log = logging.getLogger(__name__)


class EdgeSource(Protocol):
    """Where edges come from. Lines have names; which pin and which polarity a line has is the source's business."""

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        """Deliver edges from now on, from a thread of the source's own.

        A line that is active already is delivered as an edge at once: beams blocked at start say nothing by themselves.
        """

    def active(self, line: str) -> bool:
        """The line's level now."""

    def close(self) -> None:
        """Deliver nothing more and free the pins."""


class GpiozeroEdges:
    """Edges through gpiozero, stamped when its handler runs: good to about a millisecond under load.

    ``lines``: name -> BCM pin, active-low with pull-up. ``clock_ns``: CLOCK_MONOTONIC in nanoseconds.
    """

    def __init__(self, lines: Mapping[str, int], clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        # No bounce time: it would swallow a coin cell, 2 ms across the beam.
        self._devices = {line: DigitalInputDevice(pin, pull_up=True) for line, pin in lines.items()}
        self._on_edge: Callable[[Edge], None] | None = None

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        self._on_edge = on_edge
        for line, device in self._devices.items():
            device.when_activated = partial(self._deliver, line, True)
            device.when_deactivated = partial(self._deliver, line, False)
            if device.is_active:
                self._deliver(line, True)

    def active(self, line: str) -> bool:
        return bool(self._devices[line].is_active)

    def close(self) -> None:
        for device in self._devices.values():
            device.close()

    def _deliver(self, line: str, active: bool) -> None:
        assert self._on_edge is not None, "handlers are set by start()"
        try:
            self._on_edge(Edge(line=line, active=active, t_ns=self._clock_ns()))
        except Exception:
            # An exception in a handler ends the callback thread of lgpio, and with it every pin.
            _log.exception("edge of %s was not taken", line)
