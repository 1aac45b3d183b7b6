from __future__ import annotations

from kiosk.core.settings import Settings
from kiosk.core.states import Recovering, new_bin
from kiosk.core.view import view_of


def test_a_bin_begins_closed_with_an_unknown_shelf() -> None:
    bin = new_bin(Settings(temperature_sensors=("bin", "lid"), language="en"), 1_234)
    assert bin.phase == Recovering(since_ms=1_234)
    assert bin.tare_mg is None
    assert set(bin.temperatures) == {"bin", "lid"}
    assert bin.cap_clock.now(1_234) == 0
    assert view_of(bin, 1_234).screen == "starting"
    assert view_of(bin, 1_234).language == "en"
