"""How an ``expect`` of the vectors maps to output.

stable       -> MassRead.stable
value, unit  -> MassRead.value, .unit, as the scale wrote them; MassRead.mass_mg is the same in milligrams
valid false  -> Corrupt and nothing else (the vectors name no reason)

Some vectors lack CR LF: silence, or the next header, ends them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from drivers.readings import Corrupt, MassOverload, MassRead
from drivers.scale_and import FRAME_BYTES_MAX, ScaleAnd
from tests.drivers.parsing import byte_by_byte, fed, good, mutated, name, reasons, vectors

FRAME = b"ST,+00123.45  g\r\n"
MASS = MassRead(mass_mg=123_450, stable=True, value=Decimal("123.45"), unit="g")
OTHER = b"US,-0000012.3   g\r\n"
OTHER_MASS = MassRead(mass_mg=-12_300, stable=False, value=Decimal("-12.3"), unit="g")
NOISE = b"\x00\xff\x7f"


def expected(vector: Any) -> list[Any]:
    expect = vector["expect"]
    if not expect.get("valid", True):
        return []
    value = Decimal(str(expect["value"]))
    return [MassRead(mass_mg=int(value * 1_000), stable=expect["stable"], value=value, unit=expect["unit"])]


@pytest.mark.parametrize("vector", vectors("scale_and"), ids=name)
def test_published_vectors_pass_in_any_chunking_and_company(vector: Any) -> None:
    raw, masses = bytes.fromhex(vector["raw_hex"]), expected(vector)
    chunkings = [[raw], byte_by_byte(raw)]
    if "chunks_hex" in vector:
        chunkings.append([bytes.fromhex(chunk) for chunk in vector["chunks_hex"]])
    for chunks in chunkings:
        readings = fed(ScaleAnd(), *chunks)
        assert good(readings) == masses
        assert len(readings) == 1
    assert good(fed(ScaleAnd(), NOISE + raw + NOISE)) == masses
    assert good(fed(ScaleAnd(), raw + raw)) == masses + masses
    for following in vectors("scale_and"):
        # Garbage has no end of its own; what follows it without one begins at its header.
        assert good(fed(ScaleAnd(), raw + bytes.fromhex(following["raw_hex"]))) == masses + expected(following)


def test_noise_around_a_frame_is_reported_beside_it() -> None:
    noise = Corrupt(reason="garbage", raw=NOISE)
    assert fed(ScaleAnd(), NOISE + FRAME + NOISE) == [noise, MASS, noise]
    assert fed(ScaleAnd(), NOISE + FRAME.strip() + NOISE) == [noise, MASS, noise]


@pytest.mark.parametrize(
    ("text", "mass_mg"),
    [
        (b"ST,+00001.234 kg", 1_234_000),
        (b"ST,+1234567.8 mg", 1_234_568),
        (b"ST,+0000000.0005 g", 0),
        (b"ST,+0000000.0015 g", 2),
        (b"ST,+00000123  g", 123_000),
        (b"ST,-  123.45  g", -123_450),
        (b"ST,-00000.00  g", 0),
        (b"ST,+999999999999.999999 kg", 999_999_999_999_999_999),
    ],
)
def test_mass_is_exact_integer_milligrams(text: bytes, mass_mg: int) -> None:
    (mass,) = fed(ScaleAnd(), text + b"\r\n")
    assert mass.mass_mg == mass_mg
    assert type(mass.mass_mg) is int


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"ST,+00123.45", "no_unit"),
        (b"ST,+00123.45 lb", "unknown_unit"),
        (b"ST,+00123.45 k", "unknown_unit"),
        (b"ST,+00123.45 gr", "unknown_unit"),
        (b"ST,+00123.45  %", "unknown_unit"),
        (b"QT,+00000012 PC", "not_a_mass"),
        (b"ST,+00.12.3  g", "no_unit"),
        (b"ST, 00123.45  g", "bad_format"),
        (b"ST,+", "bad_format"),
        (b"S,+00123.45  g", "garbage"),
    ],
)
def test_what_is_no_decimal_mass_is_corrupt(text: bytes, reason: str) -> None:
    readings = fed(ScaleAnd(), text + b"\r\n")
    assert good(readings) == []
    assert reasons(readings)[0] == reason


def test_overload_is_said_in_both_directions() -> None:
    assert fed(ScaleAnd(), b"OL,+9999999E+19\r\nOL,-9999999E+19\r\n") == [MassOverload(), MassOverload()]


@pytest.mark.parametrize("size", range(1, len(FRAME.strip())))
def test_no_beginning_of_a_frame_passes_for_a_whole_one(size: int) -> None:
    parser = ScaleAnd()
    assert parser.receive(FRAME[:size]) == []
    assert good(parser.flush()) == []
    assert parser.receive(FRAME) == [MASS]


@pytest.mark.parametrize("position", range(len(FRAME)))
def test_one_missing_byte_costs_at_most_one_frame(position: int) -> None:
    readings = good(fed(ScaleAnd(), OTHER + FRAME[:position] + FRAME[position + 1 :] + OTHER))
    assert readings[0] == readings[-1] == OTHER_MASS
    assert len(readings) <= 3


def test_noise_longer_than_a_frame_is_cut_and_the_frame_behind_it_is_read() -> None:
    for size in range(FRAME_BYTES_MAX, 4 * FRAME_BYTES_MAX):
        for chunks in ([b"x" * size + FRAME], byte_by_byte(b"x" * size + FRAME)):
            assert good(fed(ScaleAnd(), *chunks)) == [MASS]


def test_random_bytes_never_raise_and_the_next_good_frame_is_read() -> None:
    parser = ScaleAnd()
    for chunk in mutated(FRAME, 20_000, seed=7):
        for reading in parser.receive(chunk):
            assert isinstance(reading, (MassRead, MassOverload, Corrupt))
        assert len(parser._pending) <= FRAME_BYTES_MAX
    assert good(parser.receive(OTHER))[-1] == OTHER_MASS
