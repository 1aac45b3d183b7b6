"""A&D scales and balances that send their standard format."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

from drivers.readings import Corrupt, MassOverload, MassRead

FRAME_BYTES_MAX = 32
"""The longest frame that was seen has 17 bytes and CR LF."""
SILENCE_MS = 100
"""A frame takes 71 ms at 2400 baud, its bytes 4 ms each; scales send about 10 frames a second."""
MILLIGRAMS = {"mg": 1, "g": 1_000, "kg": 1_000_000}
"""Only decimal units: mass is exact integer milligrams."""

_HEADER = re.compile(rb"(?:ST|US|QT|OL),")
_HEADER_BYTES = 3
_END = re.compile(rb"[\r\n]|(?<=[\s\S])(?=(?:ST|US|QT|OL),)")
_FRAME = re.compile(rb"(ST|US|QT),([+-]) *([0-9]{1,12}(?:\.[0-9]{1,6})?) *((?:mg|kg|g)(?![a-z])|[A-Za-z]+|%)?")


class ScaleAnd:
    """A&D standard format, often 2400 7E1, continuous.

    header | "," | sign | digits with a point | unit, right-aligned | CR LF
    header: ST stable, US unstable, QT stable count of pieces, OL out of range

    Digit and unit widths differ between models, so a frame is taken up to CR, LF or the next header; one that lost its
    terminator is taken when the line falls silent, because no frame's beginning passes for a whole one (the unit comes
    last). There is no checksum: who credits must ask for more than one equal reading.
    Reasons of :class:`Corrupt`: ``garbage``, ``bad_format``, ``no_unit``, ``unknown_unit``, ``not_a_mass`` (QT).
    Source: A&D GX-A/GF-A Communication Manual, section 7-2.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def receive(self, data: bytes) -> list[MassRead | MassOverload | Corrupt]:
        """Frames completed by these bytes, in order. Any chunking; never raises."""
        readings: list[MassRead | MassOverload | Corrupt] = []
        for start in range(0, len(data), FRAME_BYTES_MAX):
            self._pending += data[start : start + FRAME_BYTES_MAX]
            while end := _END.search(self._pending):
                readings += self._taken(end.start())
                del self._pending[: end.end() - end.start()]
            if len(self._pending) > FRAME_BYTES_MAX:
                # The last bytes may be the beginning of a header.
                readings += self._taken(len(self._pending) - (_HEADER_BYTES - 1))
        return readings

    def flush(self) -> list[MassRead | MassOverload | Corrupt]:
        """The line fell silent, or the input ended: what is pending is a frame without its terminator, or nothing."""
        return self._taken(len(self._pending))

    def _taken(self, size: int) -> list[MassRead | MassOverload | Corrupt]:
        raw = bytes(self._pending[:size])
        del self._pending[:size]
        return _judged(raw) if raw else []


def _judged(raw: bytes) -> list[MassRead | MassOverload | Corrupt]:
    """The frame at the beginning of ``raw``, and the noise behind it."""
    if raw.startswith(b"OL,"):
        return [MassOverload()]
    frame = _FRAME.match(raw)
    if frame is None:
        return [Corrupt(reason="bad_format" if _HEADER.match(raw) else "garbage", raw=raw)]
    behind = raw[frame.end() :]
    noise = [Corrupt(reason="garbage", raw=behind)] if behind.strip() else []
    header, sign, digits, unit = (part.decode("ascii") for part in frame.groups(default=b""))
    if header == "QT":
        return [Corrupt(reason="not_a_mass", raw=frame[0]), *noise]
    if unit not in MILLIGRAMS:
        return [Corrupt(reason="unknown_unit" if unit else "no_unit", raw=frame[0]), *noise]
    value = Decimal(sign + digits)
    # Twelve digits and six decimals fit the default context's 28 digits: nothing is rounded before this line.
    mass_mg = int((value * MILLIGRAMS[unit]).to_integral_value(ROUND_HALF_EVEN))
    return [MassRead(mass_mg=mass_mg, stable=header == "ST", value=value, unit=unit), *noise]
