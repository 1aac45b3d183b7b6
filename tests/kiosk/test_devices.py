"""The devices as the loop sees them, on gpiozero's mock pins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import Device

from kiosk.config import load
from kiosk.core.events import LevelsRead
from kiosk.devices import LOCK_MARGIN_MS, Devices
from sync.records import Holder
from tests.kiosk.rig import CONFIG

LOCK, IN1, IN2 = 26, 12, 18


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[Devices]:
    path = tmp_path / "kiosk.toml"
    path.write_text(CONFIG.format(folder=tmp_path, screen_port=0, reserve_mib=1))
    built = Devices(
        load(path),
        lambda source, event: None,
        holder_of=lambda scheme, uid_hex: Holder(scheme=scheme, ref=uid_hex),
        new_item_id=lambda: "item",
    )
    built.start()
    yield built
    built.close()


def outputs() -> dict[int, bool]:
    factory = Device.pin_factory
    assert factory is not None
    return {bcm: bool(factory.pin(bcm).state) for bcm in (LOCK, IN1, IN2)}


def test_all_outputs_are_off_at_start_and_after_close(devices: Devices) -> None:
    assert outputs() == {LOCK: False, IN1: False, IN2: False}
    devices.unlock_flap(0)
    devices.turn_gate("store", 0)
    assert outputs() == {LOCK: True, IN1: True, IN2: False}


def test_a_lock_that_nobody_locks_is_locked_by_the_driver(devices: Devices) -> None:
    """The solenoid's on-time is bounded whatever the core believes; 5 s is the session here."""
    devices.unlock_flap(0)
    devices.look(5_000 + LOCK_MARGIN_MS - 1)
    assert outputs()[LOCK]
    devices.look(5_000 + LOCK_MARGIN_MS)
    assert not outputs()[LOCK]


def test_a_gate_that_nobody_stops_is_stopped_by_the_driver(devices: Devices) -> None:
    devices.turn_gate("store", 0)
    assert devices.moving
    devices.look(60_000)
    assert outputs() == {LOCK: False, IN1: False, IN2: False}
    assert not devices.moving


def test_without_the_world_every_wire_reads_as_cut_and_the_bin_is_not_safe(devices: Devices) -> None:
    (event,) = devices.look(0)
    assert isinstance(event, LevelsRead)
    assert not event.levels.door_closed
    assert not event.levels.flap_closed
