"""What a person at the page can do, by the name of the button."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kiosk.simulator.demo.rig import Rig

WARM_MC, HOT_MC = 21_000, 66_000
RAMP_MS = 2_500
HOUSEHOLD_CODE = "HH-2041-07"

STONE_MG = 85_000
"""Between the masses of C and D: a stone that weighs what a battery weighs would pass for one."""
DROPS = ("aa", "aaa", "c", "d", "9v", "coin")
COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "card_0": ("tap", {"card": "0"}),
    "card_1": ("tap", {"card": "1"}),
    "qr": ("scan", {"text": HOUSEHOLD_CODE}),
    **{kind: ("drop", {"kind": kind}) for kind in DROPS},
    "stone": ("drop", {"kind": "stone", "mass_mg": STONE_MG}),
    "string": ("drop", {"kind": "aa", "string": True}),
    "hand": ("hand", {}),
    "door_open": ("door", {"open": True}),
    "door_shut": ("door", {"open": False}),
    "heat": ("heat", {"milli_celsius": HOT_MC, "ramp_ms": RAMP_MS}),
    "cool": ("heat", {"milli_celsius": WARM_MC, "ramp_ms": RAMP_MS}),
    "jam_gate": ("jam_gate", {"jammed": True}),
    "free_gate": ("jam_gate", {"jammed": False}),
    "stick_flap": ("stick_flap", {"stuck": True}),
    "free_flap": ("stick_flap", {"stuck": False}),
    "pull_out": ("pull_out", {}),
}
"""Commands of the world. What the other buttons do is in :func:`act` and in the show."""
WORDS = {
    "card_0": "Card 甲",
    "card_1": "Card 乙",
    "qr": "Household QR",
    "aa": "AA",
    "aaa": "AAA",
    "c": "C",
    "d": "D",
    "9v": "9 V",
    "coin": "Coin cell",
    "stone": "Stone",
    "string": "AA on a string",
    "hand": "Hand in the flap",
    "door_open": "Open the door",
    "door_shut": "Shut the door",
    "heat": "Heat the bin",
    "cool": "Cool the bin",
    "clear_hazard": "Clear hazard",
    "jam_gate": "Jam the gate",
    "free_gate": "Free the gate",
    "stick_flap": "Stick the flap",
    "free_flap": "Free the flap",
    "pull_out": "Pull the item out",
    "cut_network": "Cut the network",
    "restore_network": "Restore the network",
    "cut_power": "Cut the power between commit and tip",
    "torture": "Torture: 200 deposits, 20 power cuts",
    "stop_torture": "Stop the torture",
}
"""What is written on the buttons; the last three are the show's own."""
DOOR_S = 0.5
CLEAR_REASON = "demo: looked inside, nothing smoulders"


async def act(rig: Rig, name: str) -> str | None:
    """Press that button; what there is to tell of it, if anything. Raises ValueError for what cannot be now."""
    if name in COMMANDS:
        command, fields = COMMANDS[name]
        await rig.world.do(command, **fields)
    match name:
        case "heat":
            return "warmer and warmer: at the hazard limit the bin latches"
        case "cool":
            return "cooling; a latched hazard stays until a technician clears it"
        case "stick_flap":
            return "the flap's spring is broken: it stays open after the next push"
        case "free_flap":
            return "the flap springs shut; nothing else is needed"
        case "jam_gate":
            return "the gate is wedged: the next tip will fail"
        case "free_gate":
            if await faulty(rig, "gate"):
                return "the gate is free; now open and shut the door, so that the bin tries it again"
            return "the gate is free; nothing else is needed"
        case _ if name in COMMANDS:
            return None
        case "cut_network":
            await rig.network.cut()
            return "the network cable is pulled"
        case "restore_network":
            await rig.network.restore()
            return "the network cable is back"
        case "clear_hazard":
            answer = await rig.ask_daemon({"do": "clear_hazards", "reason": CLEAR_REASON})
            if answer is None:
                raise ValueError("the daemon is not running")
            text = answer.get("text") or answer.get("error")
            return f"technician: {text}" if answer.get("done") else f"refused: {text}"
        case _:
            raise AssertionError(name)


async def mend(rig: Rig, tell: Callable[[str, str], None]) -> None:
    """As it was in the beginning: what was left open, hot or stuck is mended, and each of it is told."""
    world = (await rig.world.do("state"))["snapshot"]
    status = await rig.ask_daemon({"do": "status"}) or {}
    await rig.world.do("cut_power_at", event=None)
    wrong = {
        "cool": world["temperature_mc"] > WARM_MC,
        "free_gate": world["gate"]["jammed"],
        "free_flap": world["flap"]["stuck"],
        "door_shut": not world["door_closed"],
    }
    for name in [name for name, is_wrong in wrong.items() if is_wrong]:
        tell("quiet", f"the demo mends what was left: {WORDS[name]}")
        await act(rig, name)
    if status.get("hazards"):
        await asyncio.sleep(RAMP_MS / 1_000 + 2)
        tell("quiet", f"the demo mends what was left: {WORDS['clear_hazard']}")
        tell("plain", await act(rig, "clear_hazard") or "")
    if "gate" in status.get("faults", {}) and world["door_closed"]:
        tell("quiet", "the demo mends what was left: opens and shuts the door, so that the gate is tried again")
        await act(rig, "door_open")
        await asyncio.sleep(DOOR_S)
        await act(rig, "door_shut")


async def plug_in(rig: Rig, tell: Callable[[str, str], None]) -> None:
    """The network, if it was left cut."""
    if not rig.network.up:
        tell("quiet", f"the demo mends what was left: {WORDS['restore_network']}")
        await rig.network.restore()


async def faulty(rig: Rig, device: str) -> bool:
    status = await rig.ask_daemon({"do": "status"}) or {}
    return device in status.get("faults", {})
