"""How an ``expect`` of the vectors maps to output.

scan, aim_id  -> CodeScanned.text, .aim_id; ``kiosk decode`` prints them under the names of the vectors
mode "plain"  -> this parser; ``kiosk decode`` prints it on every scan

The format has neither head nor checksum: noise joins the line that it touches, so here noise is a line of its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from drivers.qr_lines import LINE_BYTES_MAX, QrLines
from drivers.readings import CodeScanned, Corrupt
from tests.drivers.parsing import byte_by_byte, fed, good, mutated, name, reasons, vectors


@pytest.mark.parametrize("vector", vectors("gm861"), ids=name)
def test_published_vectors_pass_in_any_chunking_and_company(vector: Any) -> None:
    raw = bytes.fromhex(vector["raw_hex"])
    code = CodeScanned(text=vector["expect"]["scan"], aim_id=vector["expect"]["aim_id"])
    assert fed(QrLines(), raw) == [code]
    assert fed(QrLines(), *byte_by_byte(raw)) == [code]
    assert fed(QrLines(), raw + raw) == [code, code]
    noise = b"\x00\xff\x03"
    readings = fed(QrLines(), noise + b"\r" + raw + noise)
    assert (good(readings), reasons(readings)) == ([code], ["bad_encoding", "unterminated"])


def test_cr_lf_and_cr_lf_end_the_same_line_once() -> None:
    code = CodeScanned(text="token", aim_id=None)
    for end in (b"\r", b"\n", b"\r\n"):
        assert fed(QrLines(), b"token" + end) == [code]
        assert fed(QrLines(), *byte_by_byte(b"token" + end + b"token" + end)) == [code, code]


def test_chinese_text_is_read() -> None:
    assert fed(QrLines(), "]Q1住户\r".encode()) == [CodeScanned(text="住户", aim_id="Q1")]


def test_a_bracket_without_a_symbology_is_text() -> None:
    assert fed(QrLines(), b"]- x\r") == [CodeScanned(text="]- x", aim_id=None)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xc0\xc1", "bad_encoding"),
        (b"to\x00ken", "control_character"),
        (b"\x03\x00\x0a0321563840"[:2], "control_character"),
        ("token\x85".encode(), "control_character"),
        (b"]E0", "empty"),
        (b"   ", "empty"),
    ],
)
def test_a_line_that_is_no_text_is_corrupt(line: bytes, reason: str) -> None:
    assert fed(QrLines(), line + b"\r") == [Corrupt(reason=reason, raw=line)]


def test_a_prefix_of_a_token_is_never_a_token() -> None:
    parser = QrLines()
    assert parser.receive(b"eyJhbGciOiJFZ") == []
    assert parser.flush() == [Corrupt(reason="unterminated", raw=b"eyJhbGciOiJFZ")]
    assert parser.flush() == []
    assert parser.receive(b"whole\r") == [CodeScanned(text="whole", aim_id=None)]


def test_an_overlong_line_is_reported_once_and_its_tail_is_no_code() -> None:
    long = b"x" * (LINE_BYTES_MAX + 1)
    for chunks in ([long + b"tail\rnext\r"], byte_by_byte(long + b"tail\rnext\r")):
        readings = fed(QrLines(), *chunks)
        assert reasons(readings) == ["bad_length"]
        assert good(readings) == [CodeScanned(text="next", aim_id=None)]


def test_a_line_of_the_greatest_length_is_read() -> None:
    assert fed(QrLines(), b"x" * LINE_BYTES_MAX + b"\r") == [CodeScanned(text="x" * LINE_BYTES_MAX, aim_id=None)]


def test_silence_ends_an_overlong_line() -> None:
    parser = QrLines()
    assert reasons(parser.receive(b"x" * 3_000)) == ["bad_length"]
    assert parser.flush() == []
    assert parser.receive(b"next\r") == [CodeScanned(text="next", aim_id=None)]


def test_random_bytes_never_raise_and_the_next_good_line_is_read() -> None:
    parser = QrLines()
    for chunk in mutated(b"]Q1eyJhbGciOiJFZERTQSJ9\r\n", 20_000, seed=861):
        for reading in parser.receive(chunk):
            assert isinstance(reading, (CodeScanned, Corrupt))
        assert len(parser._pending) <= LINE_BYTES_MAX
    assert good(parser.receive(b"\rnext\r"))[-1] == CodeScanned(text="next", aim_id=None)
