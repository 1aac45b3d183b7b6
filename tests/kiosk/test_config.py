"""Every mistake at once, each with its key, its line and a remedy."""

from dataclasses import fields
from pathlib import Path

import pytest

from kiosk.config import DEFAULT_PINS, Config, ConfigError, SerialConfig, load
from kiosk.core.settings import Settings

GOOD = """\
[scale]
port = "/dev/serial/by-path/scale"

[temperature]
file = "/sys/bus/w1/devices/28-0/w1_slave"
"""


OTHER_PINS = dict(zip(DEFAULT_PINS, reversed(DEFAULT_PINS.values()), strict=True)) | {"door": 10, "gate_in1": 11}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "kiosk.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_smallest_configuration_has_the_reference_bins_pins_and_no_reader(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert dict(config.pins) == DEFAULT_PINS
    assert config.scale.baud == 2400
    assert (config.scale.bytesize, config.scale.parity) == (7, "E")
    assert config.card_reader is None
    assert config.qr_reader is None
    assert config.settings.over_cap == "unpaid"


def test_every_value_that_is_set_arrives(tmp_path: Path) -> None:
    text = (
        '[bin]\nlanguage = "en"\nreturn_way = false\nstate_dir = "/s"\nrun_dir = "/r"\n'
        '[card_reader]\nport = "/dev/card"\nbaud = 1200\nbytesize = 7\nparity = "O"\nremoval_ms = 250\n'
        '[qr_reader]\nport = "/dev/qr"\nbaud = 115200\nbytesize = 7\nparity = "E"\n'
        '[scale]\nport = "/dev/scale"\nbaud = 4800\nbytesize = 8\nparity = "N"\nstable_within_mg = 100\n'
        '[temperature]\nfile = "/t"\nhazard_celsius = 61\nclear_celsius = 46\nstale_ms = 9000\nperiod_ms = 2000\n'
        '[caps]\ndaily_points = 7\nover = "refuse"\n[session]\nidle_ms = 31000\nfarewell_ms = 4100\n'
        "[timing]\nclose_settle_ms = 151\nweigh_settle_ms = 301\nweigh_ms = 8001\n"
        "[gate]\nrun_limit_ms = 8002\nstall_ms = 1001\n"
        '[screen]\nport = 0\nframe_ancestors = ["http://127.0.0.1:1"]\n[storage]\nreserve_mib = 2\n'
        '[clock]\nsynchronized_file = "/c"\n[gpio]\nbackend = "simulated"\nsocket = "/run/w/pins.sock"\n'
        "[gpio.pins]\n" + "".join(f"{name} = {bcm}\n" for name, bcm in OTHER_PINS.items())
    )
    config = load(write(tmp_path, text))
    assert config == Config(
        state_dir=Path("/s"),
        run_dir=Path("/r"),
        synchronized_file=Path("/c"),
        settings=Settings(
            language="en",
            return_way=False,
            session_idle_ms=31_000,
            farewell_ms=4_100,
            close_settle_ms=151,
            weigh_settle_ms=301,
            weigh_ms=8_001,
            stable_within_mg=100,
            hazard_milli_celsius=61_000,
            clear_milli_celsius=46_000,
            temperature_stale_ms=9_000,
            cap_points=7,
            over_cap="refuse",
        ),
        gpio_backend="simulated",
        gpio_socket=Path("/run/w/pins.sock"),
        pins=OTHER_PINS,
        card_reader=SerialConfig(port=Path("/dev/card"), baud=1_200, bytesize=7, parity="O"),
        card_removal_ms=250,
        qr_reader=SerialConfig(port=Path("/dev/qr"), baud=115_200, bytesize=7, parity="E"),
        scale=SerialConfig(port=Path("/dev/scale"), baud=4_800, bytesize=8, parity="N"),
        temperature_file=Path("/t"),
        temperature_period_ms=2_000,
        gate_run_limit_ms=8_002,
        gate_stall_ms=1_001,
        screen_port=0,
        screen_frame_ancestors=("http://127.0.0.1:1",),
        storage_reserve_bytes=2 << 20,
    )
    plain = load(write(tmp_path, GOOD))
    assert [field.name for field in fields(Config) if getattr(config, field.name) == getattr(plain, field.name)] == []


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        '[bin]\nlanguage = "fr"\nreturn_way = 1\nstate_dir = "var/lib"\n'
        "[session]\nidle_ms = true\n"
        '[scale]\nprot = "/dev/x"\n'
        '[temperature]\nfile = "/x"\nhazard_celsius = 50\nclear_celsius = 50\n'
        "[screen]\nframe_ancestors = [1]\n"
    )
    assert mistakes(tmp_path, text) == [
        "scale.port: is missing: set it in [scale]",
        "line 2: bin.language: 'fr' is none of 'zh', 'en'",
        "line 3: bin.return_way: 1 is neither true nor false",
        "line 4: bin.state_dir: 'var/lib' is no absolute path: begin it with /",
        "line 6: session.idle_ms: True is no whole number from 5000 to 120000",
        "line 8: scale.prot: is not known; did you mean scale.port?",
        "line 12: temperature.clear_celsius: must be below temperature.hazard_celsius, or a latch could be cleared hot",
        'line 14: screen.frame_ancestors: [1] is no list of texts such as ["http://127.0.0.1:8000"]',
    ]


def test_two_uses_of_one_pin_are_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, GOOD + "[gpio.pins]\nmetal = 17\n") == [
        "line 7: gpio.pins.metal: BCM 17 is also beam_a: give each its own pin"
    ]


def test_the_simulated_backend_needs_its_socket(tmp_path: Path) -> None:
    assert mistakes(tmp_path, GOOD + '[gpio]\nbackend = "simulated"\n') == [
        'gpio.socket: is needed with backend = "simulated": the path of the world\'s pins.sock'
    ]


def test_an_unknown_key_that_resembles_none_is_to_be_removed(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "zzzzqqqq = 1\n" + GOOD) == ["line 1: zzzzqqqq: is not known: remove it"]


def test_a_key_in_quotes_is_not_taken_for_the_one_that_it_resembles(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, '"caps.daily_points" = 3\n' + GOOD)
    assert '"caps.daily_points": is not known' in said


def test_a_path_with_a_nul_in_it_is_a_mistake(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, GOOD + '[qr_reader]\nport = "/dev/\\u0000"\n')
    assert "is no absolute path" in said


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path).scale.baud == 2400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x = " + b"[" * 3000, "TOML: "),
        (b"x = " + b"9" * 5000, "TOML: "),
        (b"[scale\n", "line 1: TOML: "),
        (b"\xff\xfe", "file: is not UTF-8: save it as UTF-8"),
        (None, "file: cannot be read: No such file or directory; check the path"),
    ],
)
def test_a_file_that_is_no_toml_says_so(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "kiosk.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value.mistakes[0]).startswith(said)
    assert str(caught.value).startswith(f"{path}: 1 mistake\n")
