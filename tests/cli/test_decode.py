from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kiosk.cli.decode import DRIVERS, decode
from tests.drivers.parsing import VECTORS, name


def run(driver: str, data: bytes | str, *options: str) -> Result:
    return CliRunner().invoke(decode, [driver, *options], input=data)


def lines(driver: str, data: bytes | str, *options: str) -> list[dict[str, Any]]:
    result = run(driver, data, *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['device']}-{name(vector)}")
def test_published_vectors_are_printed_under_the_names_of_their_expectations(vector: Any) -> None:
    """What ``expect`` means for the output: see the test of each driver. ``note`` and ``crc_ok`` are no fields."""
    expect = {key: value for key, value in vector["expect"].items() if key not in ("note", "crc_ok")}
    printed = lines(vector["device"], vector["raw_hex"], "--hex")
    assert printed == lines(vector["device"], bytes.fromhex(vector["raw_hex"]))
    if not expect.pop("valid", True):
        (only,) = printed
        assert only["event"] == "corrupt"
        assert only["reason"] == expect.get("error", only["reason"])
    elif "events" in expect:
        assert [line["event"] for line in printed if line["event"] != "card_read"] == expect["events"]
        assert len(printed) == 3 + 2
    else:
        assert printed[0].items() >= expect.items()
        assert all(line["event"] != "corrupt" for line in printed)


def test_a_card_is_printed_as_frame_and_as_presence() -> None:
    assert lines("rdm6300", "02 36373030334235314336 4342 03\n", "--hex") == [
        {
            "event": "card_read",
            "scheme": "em4100",
            "uid_hex": "67003B51C6",
            "type": 103,
            "value": 3887558,
            "checksum": 203,
        },
        {"event": "inserted", "uid_hex": "67003B51C6"},
        {"event": "removed", "uid_hex": "67003B51C6"},
    ]


def test_a_mass_is_printed_with_what_the_scale_wrote() -> None:
    assert lines("scale_and", b"US,-0001.250 kg\r\nOL,+9999999E+19\r\n") == [
        {"event": "mass", "stable": False, "mass_mg": -1_250_000, "value": -1.25, "unit": "kg"},
        {"event": "overload"},
    ]


def test_a_temperature_is_printed_exactly() -> None:
    result = run("ds18b20", b"01 01 4b 46 7f ff 0f 10 e3 : crc=e3 YES\n01 01 4b 46 7f ff 0f 10 e3 t=-62\n")
    assert result.stdout == '{"event":"temperature","celsius":-0.062,"milli_celsius":-62}\n'


def test_corrupt_bytes_are_printed_with_reason_and_hex_and_are_no_failure() -> None:
    assert lines("qr_lines", b"\xff\r") == [{"event": "corrupt", "reason": "bad_encoding", "raw_hex": "ff"}]


@pytest.mark.parametrize("driver", DRIVERS)
def test_no_input_prints_nothing(driver: str) -> None:
    assert lines(driver, b"") == []
    assert lines(driver, "", "--hex") == []


def test_an_unknown_driver_is_told_which_there_are() -> None:
    result = run("rdm630", b"")
    assert result.exit_code == 2
    assert all(driver in result.stderr for driver in DRIVERS)


@pytest.mark.parametrize("text", ["0g", "123", "é", b"\xff\xfe"])
def test_input_that_is_not_hex_is_told_so(text: str | bytes) -> None:
    result = run("rdm6300", text, "--hex")
    assert result.exit_code == 2
    assert "standard input is not hex" in result.stderr
    assert result.stdout == ""
