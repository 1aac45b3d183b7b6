import json
from pathlib import Path

import pytest

from kiosk.simulator import devices_far_end as far_end

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


def of(device):
    return [(bytes.fromhex(vector["raw_hex"]), vector["expect"]) for vector in VECTORS if vector["device"] == device]


@pytest.mark.parametrize(("raw", "expect"), [(raw, e) for raw, e in of("rdm6300") if "uid_hex" in e])
def test_a_card_is_encoded_as_published(raw, expect):
    assert far_end.rdm6300_frame(expect["uid_hex"]) == raw
    assert far_end.rdm6300_frame(expect["uid_hex"].lower()) == raw


def test_the_first_demo_card_is_the_published_one_that_repeats():
    [repeated] = [raw for raw, expect in of("rdm6300") if "events" in expect]
    assert far_end.rdm6300_frame(far_end.CARDS[0]) * 3 == repeated
    assert len(set(far_end.CARDS)) == len(far_end.CARDS)


@pytest.mark.parametrize("uid_hex", ["", "67003B51", "67003B51C6C6", "67 03B51C6", "67003B51CG"])
def test_what_is_no_tag_is_refused_in_words(uid_hex):
    with pytest.raises(ValueError, match="10 hexadecimal digits"):
        far_end.rdm6300_frame(uid_hex)


def test_a_scanned_code_is_a_line_as_published():
    [(raw, expect)] = of("gm861")
    assert far_end.gm861_line(f"]{expect['aim_id']}{expect['scan']}") == raw


@pytest.mark.parametrize("text", ["", "two\rlines", "电池"])
def test_a_code_that_is_no_line_is_refused(text):
    with pytest.raises(ValueError, match="printable ASCII"):
        far_end.gm861_line(text)


def test_a_mass_is_a_line_as_in_the_scale_makers_manual():
    [(raw, expect)] = of("scale_and")
    assert far_end.and_line(round(expect["value"] * 1_000), stable=expect["stable"]) == raw


@pytest.mark.parametrize(
    ("mass_mg", "line"),
    [(0, b"US,+00000.00  g\r\n"), (-15, b"US,-00000.02  g\r\n"), (600_004, b"US,+00600.00  g\r\n")],
)
def test_masses_are_rounded_to_what_the_display_shows(mass_mg, line):
    assert far_end.and_line(mass_mg, stable=False) == line
    assert len(line) == len(far_end.AND_OVERLOAD)


@pytest.mark.parametrize(("raw", "expect"), of("ds18b20"))
def test_a_sensors_file_reads_as_published(raw, expect):
    if expect.get("celsius"):
        scratchpad = far_end.ds18b20_scratchpad(round(expect["celsius"] * 1_000))
    elif expect["error"] == "power_on_reset_85C":
        scratchpad = far_end.DS18B20_POWER_ON
    else:
        scratchpad = bytes(8)
    assert far_end.w1_slave_text(scratchpad) == raw.decode()


def test_frost_reads_negative():
    assert far_end.w1_slave_text(far_end.ds18b20_scratchpad(-10_125)).endswith(" t=-10125\n")


def test_a_wrong_crc_says_no():
    first, second = far_end.w1_slave_text(far_end.ds18b20_scratchpad(21_000), crc_ok=False).splitlines()
    assert first.endswith(" NO")
    assert int(first.split()[8], 16) != far_end.w1_crc8(far_end.ds18b20_scratchpad(21_000))
    assert second.endswith("t=21000")
