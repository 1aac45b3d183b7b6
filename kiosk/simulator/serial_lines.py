"""The serial devices' side of their lines: frames in pieces, noise, cards that stay in the field."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from kiosk.simulator.devices_far_end import rdm6300_frame
from kiosk.simulator.outputs import Output, PortChanged, SerialSent
from kiosk.simulator.timeline import MS, Timeline

DEVICES = ("card_reader", "qr_reader", "scale")
PIECE_NS = 3 * MS
"""Between the two pieces in which a frame arrives."""


class SerialLines:
    """Every frame is cut in two at a drawn place: a reader must not count on getting frames whole."""

    def __init__(self, timeline: Timeline, emit: Callable[[Output], None], rng: Random) -> None:
        self._timeline = timeline
        self._emit = emit
        self._rng = rng
        self._noisy: dict[str, int] = {}
        self._unplugged: set[str] = set()
        self._powered = True

    def send(self, device: str, frame: bytes) -> None:
        data = bytearray(frame)
        if self._rng.randrange(1_000) < self._noisy.get(device, 0):
            data[self._rng.randrange(len(data))] ^= self._rng.randint(1, 255)
        cut = self._rng.randrange(1, len(data))
        self._put(device, bytes(data[:cut]))
        self._timeline.after(PIECE_NS, self._put, device, bytes(data[cut:]))

    def noise(self, device: str, count: int) -> None:
        """That many random bytes, now."""
        self._put(device, self._rng.randbytes(count))

    def make_noisy(self, device: str, per_mille: int) -> None:
        """That share of the device's frames has one wrong byte from now on."""
        self._noisy[device] = per_mille

    def plug(self, device: str, present: bool) -> None:
        if present == (device in self._unplugged):
            self._unplugged ^= {device}
            self._emit(PortChanged(device=device, present=present))

    def power(self, on: bool) -> None:
        self._powered = on

    def _put(self, device: str, data: bytes) -> None:
        if self._powered and device not in self._unplugged:
            self._emit(SerialSent(device=device, data=data, t_ns=self._timeline.now_ns))


class CardField:
    """The RDM6300 repeats a card's frame for as long as the card is in its field."""

    def __init__(self, timeline: Timeline, lines: SerialLines, *, repeat_ms: int, tap_ms: int) -> None:
        self._timeline = timeline
        self._lines = lines
        self._repeat_ns = repeat_ms * MS
        self._tap_ns = tap_ms * MS
        self._frame = b""
        self._stay = 0
        self.held: str | None = None

    def tap(self, uid_hex: str) -> None:
        self.hold(uid_hex)
        self._timeline.after(self._tap_ns, self._leave, self._stay)

    def hold(self, uid_hex: str | None) -> None:
        """Null takes the card away. Raises ValueError when ``uid_hex`` is no tag number."""
        self._frame = rdm6300_frame(uid_hex) if uid_hex is not None else b""
        self.held = uid_hex
        self._stay += 1
        if uid_hex is not None:
            self._repeat(self._stay)

    def _repeat(self, stay: int) -> None:
        if stay == self._stay:
            self._lines.send("card_reader", self._frame)
            self._timeline.after(self._repeat_ns, self._repeat, stay)

    def _leave(self, stay: int) -> None:
        if stay == self._stay:
            self.hold(None)
