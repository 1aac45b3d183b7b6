"""The bytes that the devices send, written from their data sheets; no parser is imported here."""

from __future__ import annotations

from string import hexdigits

CARDS = tuple(f"{0x67003B51C6 + 0x0101 * n:010X}" for n in range(16))
"""Tag numbers of the demo's cards, by number; the first is a published tag."""


def rdm6300_frame(uid_hex: str) -> bytes:
    """RDM6300, 9600 8N1: STX | version 2h | tag 8h | XOR of the five bytes 2h | ETX, 14 bytes.

    Raises ValueError when ``uid_hex`` is not ten hexadecimal digits.
    """
    if len(uid_hex) != 10 or not set(uid_hex) <= set(hexdigits):
        raise ValueError(f"card {uid_hex!r} is no EM4100 tag; give its 5 bytes as 10 hexadecimal digits")
    tag = bytes.fromhex(uid_hex)
    check = 0
    for byte in tag:
        check ^= byte
    return b"\x02%b%02X\x03" % (tag.hex().upper().encode(), check)


def gm861_line(text: str) -> bytes:
    """GM65/GM861 in plain mode: the code's text and CR.

    Raises ValueError when ``text`` is not printable ASCII.
    """
    if not (text.isascii() and text.isprintable() and text):
        raise ValueError(f"code {text!r} is not printable ASCII; a QR engine in plain mode sends one line of text")
    return text.encode("ascii") + b"\r"


def and_line(mass_mg: int, *, stable: bool) -> bytes:
    """A&D standard format, 17 characters: ``ST,+00123.45  g`` CR LF; US instead of ST while unstable.

    Two decimals: the mass is rounded to ten milligrams, halves away from zero.
    """
    sign = "-" if mass_mg < 0 else "+"
    hundredths = (abs(mass_mg) + 5) // 10
    header = "ST" if stable else "US"
    return f"{header},{sign}{hundredths // 100:05d}.{hundredths % 100:02d}  g\r\n".encode("ascii")


AND_OVERLOAD = b"OL,+9999999E+19\r\n"
"""A&D's line for a load beyond its range."""


def w1_crc8(data: bytes) -> int:
    """Dallas/Maxim CRC-8: x^8 + x^5 + x^4 + 1, least significant bit first, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def ds18b20_scratchpad(milli_celsius: int) -> bytes:
    """Eight bytes as after a 12-bit conversion: temperature in sixteenths, alarms, configuration, reserved bytes."""
    sixteenths = round(milli_celsius * 16 / 1_000)
    low = sixteenths & 0xFF
    return bytes((low, sixteenths >> 8 & 0xFF, 0x4B, 0x46, 0x7F, 0xFF, 0x10 - (low & 0x0F), 0x10))


DS18B20_POWER_ON = bytes.fromhex("50 05 4b 46 7f ff 0c 10")
"""The scratchpad of a sensor that has not converted since power-on: 85 degrees."""


def w1_slave_text(scratchpad: bytes, *, crc_ok: bool = True) -> str:
    """What Linux's w1_therm driver gives to read for eight bytes of scratchpad and their CRC.

    A wrong CRC is shown as received, followed by NO; the value is computed all the same.
    """
    crc = w1_crc8(scratchpad)
    dump = " ".join(f"{byte:02x}" for byte in (*scratchpad, crc if crc_ok else crc ^ 0x55))
    sixteenths = int.from_bytes(scratchpad[:2], "little", signed=True)
    milli_celsius = abs(sixteenths) * 1_000 // 16 * (-1 if sixteenths < 0 else 1)
    return f"{dump} : crc={crc:02x} {'YES' if crc_ok else 'NO'}\n{dump} t={milli_celsius}\n"
