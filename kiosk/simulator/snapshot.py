"""The world as a drawing needs it."""

from __future__ import annotations

from typing import Any

from kiosk.simulator.chute import Chute
from kiosk.simulator.flap import Flap
from kiosk.simulator.gate import Gate
from kiosk.simulator.items import KINDS
from kiosk.simulator.params import Params
from kiosk.simulator.scale import Shown
from kiosk.simulator.truth import Truth
from kiosk.simulator.wiring import Inputs

KINDS_MAX = 90
"""Of each heap: more than this is not told apart in a drawing."""


def draw(
    *,
    now_ns: int,
    params: Params,
    powered: bool,
    door_closed: bool,
    inputs: Inputs,
    flap: Flap,
    chute: Chute,
    gate: Gate,
    shown: Shown,
    milli_celsius: int,
    card_held: str | None,
    waiting: int,
    truth: Truth,
) -> dict[str, Any]:
    """JSON-able. The gate's position goes from -1 (store) to 1 (return), heights from 0 (flap) to 1 (shelf)."""
    stored = truth.lying("store")
    shelf = truth.lying("shelf")
    returned = truth.lying("return")
    falls = truth.falls
    seen = chute.seen()
    volume_mm3 = sum(KINDS[fall.kind].volume_mm3 for fall in stored)
    return {
        "power": powered,
        "door_closed": door_closed,
        "flap": {
            "locked": not flap.unlocked,
            "open": round(flap.angle, 2),
            "stuck": flap.stuck,
        },
        "beams": {"a": inputs.active("beam_a"), "b": inputs.active("beam_b")},
        "metal": inputs.active("metal"),
        "falling": {"kind": seen[0], "y": seen[1]} if seen else None,
        "shelf": {
            "items": [{"fall_id": fall.fall_id, "kind": fall.kind} for fall in shelf],
            "mass_mg": sum(fall.mass_mg for fall in shelf),
            "shown_mg": shown.mass_mg,
            "stable": shown.stable,
        },
        "gate": {
            "position": round(gate.position_ns(now_ns) / gate.travel_ns, 2),
            "moving": gate.moving,
            "jammed": gate.jammed,
        },
        "store": {
            "count": len(stored),
            "kinds": [fall.kind for fall in stored[:KINDS_MAX]],
            "mass_mg": sum(fall.mass_mg for fall in stored),
            "fill": round(min(1.0, volume_mm3 / params.store_volume_mm3), 3),
        },
        "returned": {"count": len(returned), "kinds": [fall.kind for fall in returned[:KINDS_MAX]]},
        "temperature_mc": milli_celsius,
        "card_held": card_held,
        "waiting": waiting,
        "truth": {
            "asked": len(falls),
            "fell": sum(fall.t_ns is not None for fall in falls),
            "given_up": sum(fall.given_up for fall in falls),
            "stored": len(stored),
            "returned": len(returned),
            "on_shelf": len(shelf),
            "gone": len(truth.lying("gone")),
        },
    }
