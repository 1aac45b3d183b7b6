"""How an ``expect`` of the vectors maps to output.

celsius       -> TemperatureRead.milli_celsius / 1000; ``kiosk decode`` prints both
valid, error  -> Corrupt.reason
crc_ok        -> the reason is not "bad_crc"

A sensor's file is read whole, so there are no chunks; several readings may stand one behind the other in a log of it.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from drivers.ds18b20 import Ds18b20, parse_w1_slave, parse_w1_slaves
from drivers.errors import SensorLost
from drivers.readings import Corrupt, TemperatureRead
from tests.drivers.parsing import good, name, reasons, vectors

GOOD = b"01 01 4b 46 7f ff 0f 10 e3 : crc=e3 YES\n01 01 4b 46 7f ff 0f 10 e3 t=16062\n"
READ = TemperatureRead(milli_celsius=16_062)


def expected(vector: Any) -> TemperatureRead | Corrupt:
    expect = vector["expect"]
    if "celsius" in expect:
        return TemperatureRead(milli_celsius=round(expect["celsius"] * 1_000))
    return Corrupt(reason=expect["error"], raw=bytes.fromhex(vector["raw_hex"]))


@pytest.mark.parametrize("vector", vectors("ds18b20"), ids=name)
def test_published_vectors_pass_alone_joined_and_in_noise(vector: Any) -> None:
    raw, reading = bytes.fromhex(vector["raw_hex"]), expected(vector)
    assert parse_w1_slave(raw) == reading
    assert parse_w1_slaves(raw + raw) == [reading, reading]
    noise = Corrupt(reason="bad_format", raw=b"\xffnoise")
    assert parse_w1_slaves(b"\xffnoise" + raw + b"\xffnoise") == [noise, reading, noise]
    for following in vectors("ds18b20"):
        assert parse_w1_slaves(raw + bytes.fromhex(following["raw_hex"])) == [reading, expected(following)]


def test_below_zero_is_read() -> None:
    assert parse_w1_slave(GOOD.replace(b"t=16062", b"t=-1250")) == TemperatureRead(milli_celsius=-1_250)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace(b"YES", b"NO"), "bad_crc"),
        (b"ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=-62\n", "bad_crc"),
        (GOOD.replace(b"16062", b"125001"), "out_of_range"),
        (GOOD.replace(b"16062", b"-55001"), "out_of_range"),
        (GOOD.replace(b"16062", b""), "bad_format"),
        (GOOD[:40], "bad_format"),
        (b"", "bad_format"),
    ],
)
def test_what_must_not_be_believed_is_corrupt(text: bytes, reason: str) -> None:
    assert parse_w1_slave(text) == Corrupt(reason=reason, raw=text)


def test_nothing_is_no_reading() -> None:
    assert parse_w1_slaves(b"") == []


def test_a_sensor_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "w1_slave"
    path.write_bytes(GOOD)
    assert Ds18b20(path).read() == READ


def test_a_sensor_that_left_the_bus_raises_with_its_path_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SensorLost, match=r"w1_slave: gone \(ENOENT\); check wiring"):
        Ds18b20(tmp_path / "w1_slave").read()


def test_random_bytes_never_raise_and_the_next_good_reading_is_read() -> None:
    rng = random.Random(18)
    text = bytearray()
    while len(text) < 20_000:
        piece = bytearray(GOOD)
        for _ in range(rng.randrange(4)):
            piece[rng.randrange(len(piece))] = rng.randrange(256)
        assert isinstance(parse_w1_slave(bytes(piece)), (TemperatureRead, Corrupt))
        text += piece
    readings = parse_w1_slaves(bytes(text) + GOOD)
    assert good(readings)[-1] == READ
    assert reasons(readings)
