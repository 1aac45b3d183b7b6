"""QR engines that send plain lines: GM65 and GM861 in plain mode with a CR tail, and any CDC-ACM engine."""

from __future__ import annotations

import re

from drivers.readings import CodeScanned, Corrupt

LINE_BYTES_MAX = 1024
"""A resident's token is under 200 characters; a longer line is a poster, or a lost terminator."""
SILENCE_MS = 400
"""Inter-byte time-out of GM65 and GM861 (user manual, chapter 8)."""

_LINE = re.compile(rb"[^\r\n]*[\r\n]")
_AIM_ID = re.compile(r"\]([A-Za-z][0-9A-Za-z])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class QrLines:
    """QR engine, UART 9600 8N1 or USB virtual COM, one code a line.

    [ "]" symbology letter, modifier ] text CR|LF|CR LF      (UTF-8; the AIM prefix is sent only if switched on)

    There is no checksum and no head. A line is believed only whole: one without its terminator may be a prefix of a
    token, which is another token, so silence makes it Corrupt.
    Reasons of :class:`Corrupt`: ``unterminated``, ``bad_length``, ``bad_encoding``, ``control_character``, ``empty``.
    Source: frames captured in github.com/arendst/Tasmota, xsns_107_gm861.ino.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._overlong = False

    def receive(self, data: bytes) -> list[CodeScanned | Corrupt]:
        """Lines completed by these bytes, in order. Any chunking; never raises."""
        readings: list[CodeScanned | Corrupt] = []
        position = 0
        for match in _LINE.finditer(data):
            readings += self._extended(data[position : match.end() - 1])
            readings += self._ended()
            position = match.end()
        return readings + self._extended(data[position:])

    def flush(self) -> list[CodeScanned | Corrupt]:
        """The line fell silent, or the input ended."""
        raw = bytes(self._pending)
        self._pending.clear()
        self._overlong = False
        return [Corrupt(reason="unterminated", raw=raw)] if raw else []

    def _extended(self, part: bytes) -> list[CodeScanned | Corrupt]:
        if self._overlong:
            return []
        self._pending += part[: LINE_BYTES_MAX + 1]
        if len(self._pending) <= LINE_BYTES_MAX:
            return []
        # The rest of this line is dropped up to its terminator: its tail must not pass for a code of its own.
        self._overlong = True
        raw = bytes(self._pending[:LINE_BYTES_MAX])
        self._pending.clear()
        return [Corrupt(reason="bad_length", raw=raw)]

    def _ended(self) -> list[CodeScanned | Corrupt]:
        raw = bytes(self._pending)
        self._pending.clear()
        self._overlong = False
        return [_judged(raw)] if raw else []


def _judged(raw: bytes) -> CodeScanned | Corrupt:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Corrupt(reason="bad_encoding", raw=raw)
    if _CONTROL.search(text):
        return Corrupt(reason="control_character", raw=raw)
    aim = _AIM_ID.match(text)
    if aim is not None:
        text = text[aim.end() :]
    if not text.strip():
        return Corrupt(reason="empty", raw=raw)
    return CodeScanned(text=text, aim_id=None if aim is None else aim[1])
