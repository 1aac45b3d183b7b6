"""``kiosk decode``: what a driver makes of raw bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import click
import msgspec

from drivers.ds18b20 import parse_w1_slaves
from drivers.presence import CardPresence
from drivers.qr_lines import QrLines
from drivers.rdm6300 import Rdm6300, checksum
from drivers.readings import (
    CardInserted,
    CardRead,
    CardRemoved,
    CodeScanned,
    Corrupt,
    MassOverload,
    MassRead,
    TemperatureRead,
)
from drivers.scale_and import ScaleAnd

Reading = CardRead | CardInserted | CardRemoved | CodeScanned | MassRead | MassOverload | TemperatureRead | Corrupt

READ_BYTES_MAX = 65_536

_encoder = msgspec.json.Encoder(decimal_format="number")


def rdm6300(chunks: Iterable[bytes]) -> Iterator[Reading]:
    """Frames, and the one card that their repetition means. Bytes carry no time, so only the end removes the card."""
    parser, presence = Rdm6300(), CardPresence(removal_ms=1)
    for chunk in chunks:
        yield from _with_presence(parser.receive(chunk), presence)
    yield from parser.flush()
    yield from presence.flush()


def qr_lines(chunks: Iterable[bytes]) -> Iterator[Reading]:
    parser = QrLines()
    for chunk in chunks:
        yield from parser.receive(chunk)
    yield from parser.flush()


def scale_and(chunks: Iterable[bytes]) -> Iterator[Reading]:
    parser = ScaleAnd()
    for chunk in chunks:
        yield from parser.receive(chunk)
    yield from parser.flush()


def ds18b20(chunks: Iterable[bytes]) -> Iterator[Reading]:
    """A sensor's file is no stream: it is read whole."""
    yield from parse_w1_slaves(b"".join(chunks))


DRIVERS: dict[str, Callable[[Iterable[bytes]], Iterator[Reading]]] = {
    "rdm6300": rdm6300,
    "qr_lines": qr_lines,
    "gm65": qr_lines,
    "gm861": qr_lines,
    "scale_and": scale_and,
    "ds18b20": ds18b20,
}


@click.command()
@click.argument("driver", metavar="DRIVER", type=click.Choice(list(DRIVERS)))
@click.option("--hex", "hex_text", is_flag=True, help="The input is hex text; white space in it is ignored.")
def decode(driver: str, hex_text: bool) -> None:
    """Show what a driver makes of the bytes on standard input, one JSON object a line.

    Every line has "event"; bytes that are no valid frame are "corrupt" with "reason" and "raw_hex". The end of the
    input counts as silence on the line. gm65 and gm861 are these engines in plain mode.

    \b
    DRIVER: rdm6300, qr_lines (gm65, gm861), scale_and, ds18b20

    \b
    Example:
      echo 0236373030334235314336434203 | kiosk decode rdm6300 --hex
      cat /dev/serial/by-path/... | kiosk decode scale_and

    \b
    Exit codes:
      0  the input was read to its end, corrupt or not
      2  no such driver, or the input of --hex is not hex
    """
    source = sys.stdin.buffer
    chunks: Iterable[bytes] = [_bytes_of_hex(source)] if hex_text else _chunks(source)
    for reading in DRIVERS[driver](chunks):
        click.echo(_encoder.encode(_described(reading)))


def _chunks(source: Any) -> Iterator[bytes]:
    # read1: a live port's bytes are shown as they come.
    while chunk := source.read1(READ_BYTES_MAX):
        yield chunk


def _bytes_of_hex(source: Any) -> bytes:
    text = source.read()
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise click.UsageError(f"standard input is not hex ({error}); leave --hex away for raw bytes") from None


def _with_presence(readings: Iterable[CardRead | Corrupt], presence: CardPresence) -> Iterator[Reading]:
    for reading in readings:
        yield reading
        if isinstance(reading, CardRead):
            yield from presence.seen(reading, now_ms=0)


def _described(reading: Reading) -> dict[str, object]:
    match reading:
        case CardRead(scheme=scheme, uid_hex=uid_hex):
            uid = bytes.fromhex(uid_hex)
            return {
                "event": "card_read",
                "scheme": scheme,
                "uid_hex": uid_hex,
                "type": uid[0],
                "value": int.from_bytes(uid[1:], "big"),
                "checksum": checksum(uid),
            }
        case CardInserted(uid_hex=uid_hex):
            return {"event": "inserted", "uid_hex": uid_hex}
        case CardRemoved(uid_hex=uid_hex):
            return {"event": "removed", "uid_hex": uid_hex}
        case CodeScanned(text=text, aim_id=aim_id):
            return {"event": "scan", "scan": text, "aim_id": aim_id, "mode": "plain"}
        case MassRead(mass_mg=mass_mg, stable=stable, value=value, unit=unit):
            return {"event": "mass", "stable": stable, "mass_mg": mass_mg, "value": value, "unit": unit}
        case MassOverload():
            return {"event": "overload"}
        case TemperatureRead(milli_celsius=milli_celsius):
            celsius = Decimal(milli_celsius) / 1_000
            return {"event": "temperature", "celsius": celsius, "milli_celsius": milli_celsius}
        case Corrupt(reason=reason, raw=raw):
            return {"event": "corrupt", "reason": reason, "raw_hex": raw.hex()}
