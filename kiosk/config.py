"""TOML to a frozen Config. Every mistake is reported at once, each with its key, its line and the remedy."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from kiosk.core.settings import Settings

T = TypeVar("T")

DEFAULTS = Settings()

DEFAULT_PINS = {
    "door": 23,
    "flap_closed": 5,
    "flap_lock": 26,
    "beam_a": 17,
    "beam_b": 27,
    "metal": 22,
    "gate_in1": 12,
    "gate_in2": 18,
    "gate_store": 20,
    "gate_return": 21,
    "gate_home": 9,
}
"""BCM numbers of the reference bin. Outputs sit on GPIO 9 and above, whose pull at reset is down."""


RESERVE_MIB = 32
"""Room for the log's checkpoint, SQLite's and the file system's own needs, and some thousand more deposits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong in a configuration; ``line`` is 0 when the key is missing."""

    key: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key}: {self.text}" if self.line else f"{self.key}: {self.text}"


class ConfigError(ValueError):
    """The configuration cannot be used; ``mistakes`` are all of them, in the order of the file."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.path, self.mistakes = path, sorted(mistakes, key=lambda mistake: mistake.line)
        count = f"{len(mistakes)} mistake" + ("s" if len(mistakes) > 1 else "")
        super().__init__("\n".join([f"{path}: {count}", *(f"  {mistake}" for mistake in self.mistakes)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialConfig:
    """A device on a serial port."""

    port: Path
    baud: int
    bytesize: int
    parity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the daemon is to run with. Times in milliseconds."""

    state_dir: Path
    run_dir: Path
    synchronized_file: Path
    settings: Settings
    gpio_backend: Literal["gpiozero", "simulated"]
    gpio_socket: Path
    pins: Mapping[str, int]
    card_reader: SerialConfig | None
    card_removal_ms: int
    qr_reader: SerialConfig | None
    scale: SerialConfig
    temperature_file: Path
    temperature_period_ms: int
    gate_run_limit_ms: int
    gate_stall_ms: int
    screen_port: int
    screen_frame_ancestors: tuple[str, ...]
    storage_reserve_bytes: int


def load(path: Path) -> Config:
    """Read a configuration file. Raises :class:`ConfigError` with every mistake, or with why it is unreadable."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            path, [Mistake(key="file", line=0, text=f"cannot be read: {error.strerror}; check the path, or use sudo")]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, [Mistake(key="file", line=0, text="is not UTF-8: save it as UTF-8")]) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = int(found.group(1)) if (found := re.search(r"at line (\d+)", str(error))) else 0
        raise ConfigError(path, [Mistake(key="TOML", line=line, text=f"{error}: correct the syntax")]) from error
    except (ValueError, RecursionError) as error:
        text = "a number has thousands of digits, or brackets are nested by the hundred: remove that"
        raise ConfigError(path, [Mistake(key="TOML", line=0, text=text)]) from error
    reader = Reader(table, lines_of(text))
    config = read(reader)
    reader.report_unknown()
    if reader.mistakes:
        raise ConfigError(path, reader.mistakes)
    return config


def read(r: Reader) -> Config:
    settings = Settings(
        language=r.get("bin.language", one_of("zh", "en"), DEFAULTS.language),
        return_way=r.get("bin.return_way", boolean, DEFAULTS.return_way),
        session_idle_ms=r.get("session.idle_ms", integer(5_000, 120_000), DEFAULTS.session_idle_ms),
        farewell_ms=r.get("session.farewell_ms", integer(0, 60_000), DEFAULTS.farewell_ms),
        close_settle_ms=r.get("timing.close_settle_ms", integer(150, 5_000), DEFAULTS.close_settle_ms),
        weigh_settle_ms=r.get("timing.weigh_settle_ms", integer(0, 10_000), DEFAULTS.weigh_settle_ms),
        weigh_ms=r.get("timing.weigh_ms", integer(1_000, 60_000), DEFAULTS.weigh_ms),
        stable_within_mg=r.get("scale.stable_within_mg", integer(1, 5_000), DEFAULTS.stable_within_mg),
        hazard_milli_celsius=1_000
        * r.get("temperature.hazard_celsius", integer(40, 90), DEFAULTS.hazard_milli_celsius // 1_000),
        clear_milli_celsius=1_000
        * r.get("temperature.clear_celsius", integer(20, 80), DEFAULTS.clear_milli_celsius // 1_000),
        temperature_stale_ms=r.get("temperature.stale_ms", integer(2_000, 120_000), DEFAULTS.temperature_stale_ms),
        cap_points=r.get("caps.daily_points", integer(0, 1_000_000), DEFAULTS.cap_points),
        over_cap=r.get("caps.over", one_of("unpaid", "refuse"), DEFAULTS.over_cap),
    )
    if settings.clear_milli_celsius >= settings.hazard_milli_celsius:
        r.mistake(
            "temperature.clear_celsius", "must be below temperature.hazard_celsius, or a latch could be cleared hot"
        )
    backend = r.get("gpio.backend", one_of("gpiozero", "simulated"), "gpiozero")
    if backend == "simulated" and not r.has("gpio.socket"):
        r.mistake("gpio.socket", 'is needed with backend = "simulated": the path of the world\'s pins.sock')
    state_dir = r.get("bin.state_dir", absolute_path, Path("/var/lib/battery-kiosk"))
    return Config(
        state_dir=state_dir,
        run_dir=r.get("bin.run_dir", absolute_path, Path("/run/battery-kiosk")),
        synchronized_file=r.get("clock.synchronized_file", absolute_path, Path("/run/systemd/timesync/synchronized")),
        settings=settings,
        gpio_backend=cast(Literal["gpiozero", "simulated"], backend),
        gpio_socket=r.get("gpio.socket", absolute_path, Path("pins.sock")),
        pins=read_pins(r),
        card_reader=serial(r, "card_reader", baud=9_600) if r.has("card_reader") else None,
        card_removal_ms=r.get("card_reader.removal_ms", integer(100, 5_000), 500),
        qr_reader=serial(r, "qr_reader", baud=9_600) if r.has("qr_reader") else None,
        scale=serial(r, "scale", baud=2_400, bytesize=7, parity="E"),
        temperature_file=r.get("temperature.file", absolute_path),
        temperature_period_ms=r.get("temperature.period_ms", integer(100, 60_000), 1_000),
        gate_run_limit_ms=r.get("gate.run_limit_ms", integer(500, 14_000), 8_000),
        gate_stall_ms=r.get("gate.stall_ms", integer(50, 5_000), 1_000),
        screen_port=r.get("screen.port", integer(0, 65_535), 8080),
        screen_frame_ancestors=tuple(r.get("screen.frame_ancestors", list_of_text, [])),
        storage_reserve_bytes=r.get("storage.reserve_mib", integer(0, 100_000), RESERVE_MIB) << 20,
    )


def read_pins(r: Reader) -> Mapping[str, int]:
    pins = {name: r.get(f"gpio.pins.{name}", integer(2, 27), bcm) for name, bcm in DEFAULT_PINS.items()}
    for name, bcm in pins.items():
        twins = [other for other in pins if pins[other] == bcm and other != name]
        if twins and r.has(f"gpio.pins.{name}"):
            r.mistake(f"gpio.pins.{name}", f"BCM {bcm} is also {', '.join(twins)}: give each its own pin")
    return pins


def serial(r: Reader, section: str, *, baud: int, bytesize: int = 8, parity: str = "N") -> SerialConfig:
    return SerialConfig(
        port=r.get(f"{section}.port", absolute_path),
        baud=r.get(f"{section}.baud", integer(300, 921_600), baud),
        bytesize=r.get(f"{section}.bytesize", integer(7, 8), bytesize),
        parity=r.get(f"{section}.parity", one_of("N", "E", "O"), parity),
    )


# --- reading with every mistake kept --------------------------------------------------------------------------------

REQUIRED: Any = object()


class Reader:
    """Hands out values by dotted key; keeps every mistake, and remembers which keys anybody asked for."""

    def __init__(self, table: dict[str, Any], lines: Mapping[str, int]) -> None:
        self._table, self._lines = table, lines
        self._asked: set[str] = set()
        self.mistakes: list[Mistake] = []

    def has(self, key: str) -> bool:
        return self._find(key) is not REQUIRED

    def get(self, key: str, check: Callable[[object], T], default: T = REQUIRED) -> T:
        """The value of ``key`` as ``check`` returns it; a mistake is kept and the default stands in for it."""
        self._asked.add(key)
        value = self._find(key)
        if value is REQUIRED:
            if default is REQUIRED:
                section = key.rpartition(".")[0]
                self.mistake(key, f"is missing: set it in [{section}]")
            return default
        try:
            return check(value)
        except ValueError as error:
            self.mistake(key, str(error))
            return default if default is not REQUIRED else cast(T, 0)

    def mistake(self, key: str, text: str) -> None:
        self.mistakes.append(Mistake(key=key, line=self._lines.get(key, 0), text=text))

    def report_unknown(self) -> None:
        """A mistyped key must not pass for its default."""
        for key in leaves(self._table):
            if key in self._asked:
                continue
            near = difflib.get_close_matches(key, self._asked, n=1)
            self.mistake(key, f"is not known; did you mean {near[0]}?" if near else "is not known: remove it")

    def _find(self, key: str) -> Any:
        found: Any = self._table
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                return REQUIRED
            found = found[part]
        return found


def leaves(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in table.items():
        if "." in name:
            found.append(f'{prefix}"{name}"')  # in quotes it is one key with a dot in it, which none of ours has
        elif isinstance(value, dict):
            found += leaves(value, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def lines_of(text: str) -> dict[str, int]:
    """Line number of every key and table header that stands at the start of a line."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.\-]+)\s*\]", line):
            section = header.group(1)
            found.setdefault(section, number)
        elif key := re.match(r"\s*([\w.\-]+)\s*=", line):
            found.setdefault(f"{section}.{key.group(1)}" if section else key.group(1), number)
    return found


def integer(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{value!r} is no whole number from {low} to {high}")
        return value

    return check


def one_of(*choices: str) -> Callable[[object], Any]:
    def check(value: object) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(repr(choice) for choice in choices)}")
        return str(value)

    return check


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def absolute_path(value: object) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError(f"{value!r} is no absolute path: begin it with /")
    return Path(value)


def list_of_text(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f'{value!r} is no list of texts such as ["http://127.0.0.1:8000"]')
    return value
