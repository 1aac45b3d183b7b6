"""RDM6300: 125 kHz card reader for EM4100 tags."""

from __future__ import annotations

from drivers.readings import CardRead, Corrupt

STX = 0x02
ETX = 0x03
BODY_BYTES = 12
PENDING_BYTES_MAX = 64
"""More than four frames long: whatever grows beyond it is no frame."""
SILENCE_MS = 100
"""Inter-byte time-out: a frame takes 15 ms at 9600 baud."""

_HEX_DIGITS = frozenset(b"0123456789ABCDEFabcdef")


class Rdm6300:
    """RDM6300 125 kHz card reader, UART 9600 8N1, 14-byte frames.

    STX | version 2h | tag 8h | checksum 2h | ETX      (h: ASCII hex digit)
    checksum: XOR of the five decoded bytes

    The frame repeats while the card is held: :class:`drivers.presence.CardPresence` makes one card of it.
    Reasons of :class:`Corrupt`: ``non_hex``, ``bad_length`` (also a frame cut short by the next one or by silence),
    ``bad_checksum``, ``garbage`` (bytes outside any frame).
    Source: the frames and reader of github.com/mad-tinkerer/python-rdm6300.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def receive(self, data: bytes) -> list[CardRead | Corrupt]:
        """Frames completed by these bytes, in order. Any chunking; never raises."""
        readings: list[CardRead | Corrupt] = []
        for byte in data:
            if byte == STX or len(self._pending) >= PENDING_BYTES_MAX:
                readings += self.flush()
            self._pending.append(byte)
            if byte == ETX and self._pending[0] == STX:
                readings.append(_judged(bytes(self._pending)))
                self._pending.clear()
        return readings

    def flush(self) -> list[CardRead | Corrupt]:
        """The line fell silent, or the input ended: what is pending will never become a frame."""
        raw = bytes(self._pending)
        self._pending.clear()
        if not raw:
            return []
        return [Corrupt(reason="bad_length" if raw[0] == STX else "garbage", raw=raw)]


def checksum(uid: bytes) -> int:
    """XOR of a tag's five bytes, as the frame carries it."""
    result = 0
    for byte in uid:
        result ^= byte
    return result


def _judged(raw: bytes) -> CardRead | Corrupt:
    body = raw[1:-1]
    # Digits before length: line noise is far more often both than it is hex of the wrong length.
    if not _HEX_DIGITS.issuperset(body):
        return Corrupt(reason="non_hex", raw=raw)
    if len(body) != BODY_BYTES:
        return Corrupt(reason="bad_length", raw=raw)
    *uid, check = bytes.fromhex(body.decode("ascii"))
    if checksum(bytes(uid)) != check:
        return Corrupt(reason="bad_checksum", raw=raw)
    return CardRead(scheme="em4100", uid_hex=bytes(uid).hex().upper())
