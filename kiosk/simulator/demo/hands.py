"""What a person at the page can do, by the name of the button."""

from __future__ import annotations

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
"""Commands of the world. The rest of the buttons is done by :func:`act`."""
BUTTONS = {*COMMANDS, "cut_network", "restore_network", "cut_power", "clear_hazard"}
CLEAR_REASON = "demo: looked inside, nothing smoulders"


async def act(rig: Rig, name: str) -> str | None:
    """Press one of :data:`BUTTONS`; what there is to tell, if anything. Raises ValueError for what cannot be now."""
    if name in COMMANDS:
        command, fields = COMMANDS[name]
        await rig.world.do(command, **fields)
        return None
    match name:
        case "cut_network":
            await rig.network.cut()
            return "the network cable is pulled"
        case "restore_network":
            await rig.network.restore()
            return "the network cable is back"
        case "cut_power":
            await rig.world.do("cut_power_at", event="motor_on")
            latest = rig.screen.latest
            if latest is not None and latest.screen in ("idle", "farewell"):
                await rig.world.do("tap", card="0")
                await rig.world.do("drop", kind="aa")
            return "the power will fail after the next commit, before its tip"
        case "clear_hazard":
            answer = await rig.ask_daemon({"do": "clear_hazards", "reason": CLEAR_REASON})
            if answer is None:
                raise ValueError("the daemon is not running")
            return f"technician: {answer.get('text') or answer.get('error')}"
        case _:
            raise AssertionError(name)


async def tidy(rig: Rig) -> None:
    """As it was in the beginning: what a person left open, hot, stuck or cut is mended."""
    for name in ("door_shut", "cool", "free_gate", "free_flap"):
        await act(rig, name)
    await rig.world.do("cut_power_at", event=None)
    await rig.network.restore()
