"""The bin's condition as one JSON object, for technicians and for the demo."""

from __future__ import annotations

from typing import Any

import msgspec

from kiosk.core import senses
from kiosk.core.states import Bin
from kiosk.core.view import view_of


def status_of(bin: Bin, now_ms: int) -> dict[str, Any]:
    """What a technician may see of the state: nothing of the resident. Temperatures in °C, masses in milligrams."""
    view = view_of(bin, now_ms)
    return {
        "screen": view.screen,
        "phase": type(bin.phase).__name__.lower(),
        "open": senses.no_session_because(bin, now_ms) is None,
        "closed_because": senses.no_session_because(bin, now_ms),
        "hazards": sorted(bin.latched),
        "faults": senses.faults(bin, now_ms),
        "storage": bin.storage_trouble,
        "ledger_open": bin.ledger_open,
        "deposits": msgspec.to_builtins(bin.counts),
        "server": {"online": bin.online, "trouble": bin.sync_trouble},
        "tariff": bin.tariff.version if bin.tariff else None,
        "temperatures": {
            name: None if reading.milli_celsius is None else reading.milli_celsius / 1000
            for name, reading in bin.temperatures.items()
        },
        "scale": None if bin.mass is None else {"mass_mg": bin.mass.mass_mg, "stable": bin.mass.stable},
        "tare_mg": bin.tare_mg,
        "levels": None
        if bin.levels is None
        else {
            "door_closed": bin.levels.door_closed,
            "flap_closed": bin.levels.flap_closed,
            "beams_clear": bin.levels.beams_clear,
            "gate": bin.levels.gate,
        },
    }
