"""Facts that hold beside the main job: levels, masses, temperatures, storage, faults, latches.

:func:`notice` takes every event first; the phase of the main job then acts on what is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from kiosk.core import interlock
from kiosk.core.effects import Answer, Append, AppendLater, Effect
from kiosk.core.events import (
    Appended,
    DeviceLost,
    DeviceReturned,
    EmptyingReported,
    Event,
    HazardClearRequested,
    InputsLost,
    LanguageChosen,
    LedgerOpened,
    Levels,
    LevelsRead,
    MassWeighed,
    ServerTimeReceived,
    StorageFailed,
    StorageReturned,
    SyncChanged,
    TariffReceived,
    TemperatureMeasured,
    TemperatureMissed,
)
from kiosk.core.interlock import Temperature
from kiosk.core.states import Accepting, Bin, Session, Step
from kiosk.core.tariff import CapClock
from sync.records import (
    Emptied,
    FaultCleared,
    FaultRaised,
    HazardCleared,
    HazardRaised,
    ServiceEntered,
    ServiceLeft,
)

CLEAR_TICKET = "clear:"
EMPTY_TICKET = "empty:"
HAZARD_TICKET = "hazard:"

Stuck = Literal["flap", "beams"]
Danger = Literal["heat"]
Unsafe = Literal["starting", "door_open", "pins", "temperature_sensor"]
Closed = Literal[Unsafe, "ledger_damaged", "storage", "scale", "gate", Stuck, "no_tariff"]
"""Why the bin is closed, as a code of the screen; heat has a scene of its own."""

STUCK: dict[Stuck, str] = {
    "flap": "not sensed closed after locking: push it shut, look for something in it",
    "beams": "blocked for long: clear the chute, wipe both beams",
}


def notice(bin: Bin, event: Event, now_ms: int) -> Step:
    """Take in one event's facts. The main job has not acted on it yet."""
    bin, effects = learn(forget_silent_scale(bin, now_ms), event, now_ms)
    bin = watch_flap(forget_silent_scale(bin, now_ms), now_ms)
    bin, raised = latch(bin)
    bin, faults = reconcile_faults(bin, now_ms)
    return bin, (*effects, *raised, *faults)


def learn(bin: Bin, event: Event, now_ms: int) -> Step:
    match event:
        case LevelsRead(levels=levels):
            return levels_read(bin, levels)
        case MassWeighed():
            return mass_weighed(bin, event, now_ms), ()
        case TemperatureMeasured(sensor=sensor, milli_celsius=milli) if interlock.plausible(milli):
            reading = Temperature(milli_celsius=milli, at_ms=now_ms)
            return replace(bin, temperatures={**bin.temperatures, sensor: reading}), ()
        case TemperatureMeasured() | TemperatureMissed():
            return bin, ()  # silence: the sensor goes stale
        case DeviceLost(device=device, detail=detail):
            return replace(bin, lost={**bin.lost, device: detail}), ()
        case DeviceReturned(device=device):
            return device_returned(bin, device), ()
        case InputsLost(source=source):
            return replace(bin, inputs_lost=source), ()
        case LedgerOpened():
            return ledger_opened(bin, event, now_ms), ()
        case Appended(ticket=ticket, counts=counts):
            return appended(replace(bin, counts=counts), ticket)
        case StorageFailed(reason=reason, damaged=damaged):
            return replace(bin, storage_trouble=reason, ledger_damaged=damaged), ()
        case StorageReturned():
            return replace(bin, storage_trouble=None, ledger_damaged=False), ()
        case SyncChanged(online=online, counts=counts, trouble=trouble):
            return replace(bin, online=online, sync_trouble=trouble, counts=counts or bin.counts), ()
        case ServerTimeReceived(wall_ms=wall_ms):
            return replace(bin, cap_clock=bin.cap_clock.told(wall_ms, now_ms)), ()
        case TariffReceived(tariff=tariff):
            return replace(bin, tariff=tariff), ()
        case LanguageChosen(language=language):
            return replace(bin, language=language), ()
        case HazardClearRequested(ticket=ticket, reason=reason):
            return clear_hazards(bin, ticket, reason, now_ms)
        case EmptyingReported(ticket=ticket, note=note):
            return bin, (report_emptied(bin, ticket, note),)
        case _:
            return bin, ()


def levels_read(bin: Bin, levels: Levels) -> Step:
    before = bin.levels
    bin = replace(bin, levels=levels, inputs_lost=None)
    effects: list[Effect] = []
    if before is not None and before.door_closed != levels.door_closed and bin.ledger_open:
        effects.append(AppendLater(body=ServiceLeft() if levels.door_closed else ServiceEntered()))
    if before is not None and levels.door_closed and not before.door_closed:
        bin = replace(bin, gate_blocked=None)  # a technician was inside: the gate may be tried again
    return bin, tuple(effects)


def mass_weighed(bin: Bin, mass: MassWeighed, now_ms: int) -> Bin:
    before = bin.mass
    agrees = (
        mass.stable
        and before is not None
        and before.stable
        and abs(mass.mass_mg - before.mass_mg) <= bin.settings.stable_within_mg
    )
    return replace(bin, mass=mass, mass_ms=now_ms, equal_stable=bin.equal_stable + 1 if agrees else int(mass.stable))


def forget_silent_scale(bin: Bin, now_ms: int) -> Bin:
    """A scale that was away zeroes itself, whatever lies on it: neither mass nor tare outlive its silence."""
    return replace(bin, mass=None, equal_stable=0, tare_mg=None) if scale_silent(bin, now_ms) else bin


def scale_silent(bin: Bin, now_ms: int) -> bool:
    return "scale" in bin.lost or now_ms - bin.mass_ms > bin.settings.mass_stale_ms


def watch_flap(bin: Bin, now_ms: int) -> Bin:
    if bin.levels is None or shut(bin) or isinstance(bin.phase, Accepting):
        return replace(bin, not_shut_since_ms=None)
    return bin if bin.not_shut_since_ms is not None else replace(bin, not_shut_since_ms=now_ms)


def device_returned(bin: Bin, device: str) -> Bin:
    levels = None if device == "pins" else bin.levels  # what was read before the loss tells nothing of now
    return replace(bin, lost={name: why for name, why in bin.lost.items() if name != device}, levels=levels)


def ledger_opened(bin: Bin, opened: LedgerOpened, now_ms: int) -> Bin:
    return replace(
        bin,
        ledger_open=True,
        storage_trouble=None,
        ledger_damaged=False,
        counts=opened.counts,
        open_deposits=opened.open_deposits,
        credits=opened.credits,
        cap_clock=CapClock(cap_ms=max(opened.cap_ms, bin.cap_clock.now(now_ms)), mono_ms=now_ms),
        tariff=opened.tariff or bin.tariff,
        latched=bin.latched | frozenset(opened.hazards),
        unrecorded_hazards={
            name: detail for name, detail in bin.unrecorded_hazards.items() if name not in opened.hazards
        },
        recorded_faults=frozenset(opened.faults),
    )


def appended(bin: Bin, ticket: str) -> Step:
    if ticket.startswith(CLEAR_TICKET):
        return cleared(bin, ticket.removeprefix(CLEAR_TICKET))
    if ticket.startswith(EMPTY_TICKET):
        return bin, (Answer(ticket=ticket.removeprefix(EMPTY_TICKET), done=True, text="emptying recorded"),)
    return bin, ()


# --- latches --------------------------------------------------------------------------------------------------------


def latch(bin: Bin) -> Step:
    """Latch at once, record as soon as the ledger is open. Heat while a clearing waits is a hazard of its own."""
    found = interlock.hazards(bin.temperatures, hazard_milli_celsius=bin.settings.hazard_milli_celsius)
    known = frozenset[str]() if bin.clearing else bin.latched
    new = {name: detail for name, detail in found.items() if name not in known}
    if new:
        bin = replace(bin, latched=bin.latched | frozenset(new), clearing=None)
    unrecorded = {**bin.unrecorded_hazards, **new}
    if not bin.ledger_open:
        return replace(bin, unrecorded_hazards=unrecorded), ()
    effects = tuple(
        Append(ticket=HAZARD_TICKET + name, body=HazardRaised(hazard=name, detail=detail))
        for name, detail in unrecorded.items()
    )
    return replace(bin, unrecorded_hazards={}), effects


def hot_now(bin: Bin) -> bool:
    return bool(interlock.hazards(bin.temperatures, hazard_milli_celsius=bin.settings.hazard_milli_celsius))


def clear_hazards(bin: Bin, ticket: str, reason: str, now_ms: int) -> Step:
    """The latches open only when their clearing is durable; see :func:`cleared`."""
    if refused := clear_refused(bin, now_ms):
        return bin, (Answer(ticket=ticket, done=False, text=refused),)
    *earlier, last = sorted(bin.latched)
    return replace(bin, clearing=ticket), (
        *(AppendLater(body=HazardCleared(hazard=hazard, reason=reason)) for hazard in earlier),
        Append(ticket=CLEAR_TICKET + ticket, body=HazardCleared(hazard=last, reason=reason)),
    )


def clear_refused(bin: Bin, now_ms: int) -> str | None:
    if not bin.latched:
        return "no hazard is latched"
    if bin.clearing:
        return "a clearing is being recorded already: wait for its answer"
    refused = interlock.clear_refused(
        bin.temperatures,
        now_ms=now_ms,
        stale_ms=bin.settings.temperature_stale_ms,
        clear_milli_celsius=bin.settings.clear_milli_celsius,
    )
    return refused or cannot_record(bin)


def cleared(bin: Bin, ticket: str) -> Step:
    if bin.clearing != ticket:
        return bin, (Answer(ticket=ticket, done=False, text="it became hot again before the clearing was recorded"),)
    bin = replace(bin, latched=frozenset(), clearing=None)
    return bin, (Answer(ticket=ticket, done=True, text="hazard cleared"),)


def report_emptied(bin: Bin, ticket: str, note: str) -> Effect:
    if unrecordable := cannot_record(bin):
        return Answer(ticket=ticket, done=False, text=unrecordable)
    return Append(ticket=EMPTY_TICKET + ticket, body=Emptied(note=note))


def cannot_record(bin: Bin) -> str | None:
    if bin.storage_trouble:
        return f"cannot be recorded now: {bin.storage_trouble}"
    return None if bin.ledger_open else "cannot be recorded now: the ledger is not open yet; try again in a few seconds"


# --- faults ---------------------------------------------------------------------------------------------------------


def faults(bin: Bin, now_ms: int) -> dict[str, str]:
    """Every fault that holds now, device to detail."""
    found = dict(bin.lost)
    if "scale" not in found and scale_silent(bin, now_ms):
        found["scale"] = "no reading: check its power and its cable"
    if bin.gate_blocked:
        found["gate"] = bin.gate_blocked
    if part := stuck(bin, now_ms):
        found[part] = STUCK[part]
    if bin.inputs_lost:
        found["inbox"] = f"events of {bin.inputs_lost} were lost, all levels are read anew"
    for sensor in interlock.stale_sensors(bin.temperatures, now_ms=now_ms, stale_ms=bin.settings.temperature_stale_ms):
        found[f"temperature {sensor}"] = "no believable reading: check its plug and wire"
    return found


def reconcile_faults(bin: Bin, now_ms: int) -> Step:
    """Record what began and what ended since the last look."""
    if not bin.ledger_open:
        return bin, ()
    current = faults(bin, now_ms)
    raised = [
        FaultRaised(device=device, detail=current[device]) for device in current if device not in bin.recorded_faults
    ]
    cleared = [FaultCleared(device=device) for device in sorted(bin.recorded_faults) if device not in current]
    return replace(bin, recorded_faults=frozenset(current)), tuple(
        AppendLater(body=body) for body in (*raised, *cleared)
    )


# --- may the flap open? ---------------------------------------------------------------------------------------------


def closed_because(bin: Bin, now_ms: int) -> Danger | Unsafe | None:
    """Why the flap must stay locked and the gate still, as a code of the screen; None when all is well.

    Everything here holds in every phase. What only matters between sessions is in :func:`no_session_because`.
    """
    if bin.latched or hot_now(bin):
        return "heat"
    if bin.levels is None:
        return "starting"
    if not bin.levels.door_closed:
        return "door_open"
    if "pins" in bin.lost:
        return "pins"
    if not interlock.all_known(bin.temperatures, now_ms=now_ms, stale_ms=bin.settings.temperature_stale_ms):
        return "temperature_sensor"  # the mildest comes last: it lets a weighing go on
    return None


def no_session_because(bin: Bin, now_ms: int) -> Danger | Closed | None:
    """Why no resident may begin, or go on after the item in hand; None when the bin is open."""
    if because := closed_because(bin, now_ms):
        return because
    if bin.ledger_damaged:
        return "ledger_damaged"
    if bin.storage_trouble:
        return "storage"
    if not bin.ledger_open:
        return "starting"
    if scale_silent(bin, now_ms):
        return "scale"
    if bin.gate_blocked:
        return "gate"
    if part := stuck(bin, now_ms):
        return part
    if bin.tariff is None:
        return "no_tariff"
    return None


def stuck(bin: Bin, now_ms: int) -> Stuck | None:
    """What has not been closed, or clear, for so long that somebody must look."""
    if bin.not_shut_since_ms is None or now_ms - bin.not_shut_since_ms < bin.settings.flap_close_ms:
        return None
    return "beams" if bin.levels and bin.levels.flap_closed else "flap"


def shut(bin: Bin) -> bool:
    """Flap sensed closed and beams clear: nothing can fall in unseen, and no finger is in the way."""
    return bin.levels is not None and bin.levels.flap_closed and bin.levels.beams_clear


def still_there(bin: Bin, session: Session, now_ms: int) -> bool:
    """Nobody waits for hours: a bin that comes back at night must not open for whoever was there in the evening."""
    return now_ms - session.active_ms < bin.settings.session_idle_ms
