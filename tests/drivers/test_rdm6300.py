"""How an ``expect`` of the vectors maps to output.

valid true, uid_hex  -> CardRead.uid_hex; ``kiosk decode`` prints uid_hex, type, value and checksum under these names
valid false, error   -> Corrupt.reason
events               -> what CardPresence makes of the frames: one CardInserted, one CardRemoved after silence;
                        ``kiosk decode`` prints "inserted" and "removed" among the "card_read" lines
"""

from __future__ import annotations

from typing import Any

import pytest

from drivers.rdm6300 import PENDING_BYTES_MAX, Rdm6300, checksum
from drivers.readings import CardRead, Corrupt
from tests.drivers.parsing import byte_by_byte, fed, good, mutated, name, reasons, vectors

FRAME = bytes.fromhex("0236373030334235314336434203")
CARD = CardRead(scheme="em4100", uid_hex="67003B51C6")
OTHER = bytes.fromhex("0236373030334241383637393303")
OTHER_CARD = CardRead(scheme="em4100", uid_hex="67003BA867")
NOISE = b"\x00\xff7\x03\r\n"


def expected(vector: Any) -> list[Any]:
    expect = vector["expect"]
    raw = bytes.fromhex(vector["raw_hex"])
    if "events" in expect:
        return [CARD, CARD, CARD]
    if expect["valid"]:
        return [CardRead(scheme="em4100", uid_hex=expect["uid_hex"])]
    return [Corrupt(reason=expect["error"], raw=raw)]


@pytest.mark.parametrize("vector", vectors("rdm6300"), ids=name)
def test_published_vectors_pass_in_any_chunking_and_company(vector: Any) -> None:
    raw, readings = bytes.fromhex(vector["raw_hex"]), expected(vector)
    assert fed(Rdm6300(), raw) == readings
    assert fed(Rdm6300(), *byte_by_byte(raw)) == readings
    noise = [Corrupt(reason="garbage", raw=NOISE)]
    assert fed(Rdm6300(), NOISE + raw + NOISE) == noise + readings + noise
    assert fed(Rdm6300(), raw + raw) == readings + readings
    for following in vectors("rdm6300"):
        assert fed(Rdm6300(), raw + bytes.fromhex(following["raw_hex"])) == readings + expected(following)


@pytest.mark.parametrize("vector", [v for v in vectors("rdm6300") if "uid_hex" in v["expect"]], ids=name)
def test_checksum_of_a_tag_is_the_published_one(vector: Any) -> None:
    assert checksum(bytes.fromhex(vector["expect"]["uid_hex"])) == vector["expect"]["checksum"]


@pytest.mark.parametrize("position", range(len(FRAME)))
@pytest.mark.parametrize("damage", [0x00, 0x02, 0x03, ord("0"), ord("z"), 0xFF])
def test_one_bad_byte_costs_at_most_one_frame(position: int, damage: int) -> None:
    bad = bytearray(FRAME)
    bad[position] = damage
    readings = good(fed(Rdm6300(), OTHER + bytes(bad) + OTHER))
    assert readings in ([OTHER_CARD, OTHER_CARD], [OTHER_CARD, CARD, OTHER_CARD])


@pytest.mark.parametrize("position", range(len(FRAME)))
def test_one_missing_byte_costs_at_most_one_frame(position: int) -> None:
    readings = fed(Rdm6300(), OTHER + FRAME[:position] + FRAME[position + 1 :] + OTHER)
    assert good(readings) == [OTHER_CARD, OTHER_CARD]
    assert reasons(readings)


def test_a_wrong_checksum_is_reported() -> None:
    assert reasons(fed(Rdm6300(), FRAME.replace(b"CB", b"CA"))) == ["bad_checksum"]


def test_lower_case_digits_give_the_same_canonical_uid() -> None:
    assert fed(Rdm6300(), FRAME.lower()) == [CARD]


def test_silence_ends_a_half_frame_and_the_next_one_is_whole() -> None:
    parser = Rdm6300()
    assert parser.receive(FRAME[:9]) == []
    assert parser.flush() == [Corrupt(reason="bad_length", raw=FRAME[:9])]
    assert parser.flush() == []
    assert parser.receive(FRAME) == [CARD]


def test_a_frame_that_never_ends_is_cut_at_the_bound() -> None:
    readings = fed(Rdm6300(), b"\x02" + b"0" * (PENDING_BYTES_MAX + 10) + FRAME)
    assert reasons(readings) == ["bad_length", "garbage"]
    assert good(readings) == [CARD]


def test_random_bytes_never_raise_and_the_next_good_frame_is_read() -> None:
    parser = Rdm6300()
    for chunk in mutated(FRAME, 20_000, seed=6300):
        for reading in parser.receive(chunk):
            assert isinstance(reading, (CardRead, Corrupt))
        assert len(parser._pending) <= PENDING_BYTES_MAX
    assert good(parser.receive(OTHER)) == [OTHER_CARD]
