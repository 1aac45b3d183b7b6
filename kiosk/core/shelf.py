"""The weigh shelf and its gate: tipping a committed item, and finding the shelf again when it is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from kiosk.core import judge, senses
from kiosk.core.effects import AppendLater, LockFlap, StopGate, TurnGate
from kiosk.core.events import CardPresented, Event, InputsLost, ItemPassed
from kiosk.core.states import Bin, Idle, Recovering, Session, Step, Tipping
from sync.records import Deposit, OrphanCleared, Refusal, TipConfirmed, TipFailed

FailureReason = Literal["jam", "door", "hazard", "retracted", "removed"]
STABLE_READINGS = 2


def load_mg(bin: Bin) -> int | None:
    """Settled net mass on the shelf now; None while it moves or the tare is unknown."""
    if bin.mass is None or bin.tare_mg is None or bin.equal_stable < STABLE_READINGS:
        return None
    return bin.mass.mass_mg - bin.tare_mg


def follow_drift(bin: Bin) -> Bin:
    """Re-tare an empty, idle shelf: scales creep with temperature and dust."""
    load = load_mg(bin)
    if load is None or bin.mass is None or abs(load) > bin.settings.shelf_empty_mg or not senses.shut(bin):
        return bin
    return replace(bin, tare_mg=bin.mass.mass_mg)


def something_lies_there(bin: Bin) -> bool:
    """A mass without a passage: the sensors disagree, so it is cleared and recorded, never credited."""
    load = load_mg(bin)
    return load is not None and abs(load) > bin.settings.shelf_empty_mg and senses.shut(bin)


def unknown(bin: Bin) -> bool:
    """Whether the gate must cycle before anybody may drop something: tare lost, gate astray, or something there."""
    astray = bin.levels is not None and bin.levels.gate != "home"
    return bin.tare_mg is None or astray or something_lies_there(bin)


def rose(event: Event) -> bool:
    """Something went through the beams while nothing may, or could have: their edges are missing."""
    if isinstance(event, ItemPassed):
        return judge.way_of(event.passage) != "nothing"
    return isinstance(event, InputsLost) and event.source == "pins"


def turn(bin: Bin, to: Literal["store", "return", "home"]) -> Step:
    """Start the gate. A fault that was read before belongs to the last run; the driver forgets it too."""
    levels = replace(bin.levels, gate_fault=None) if bin.levels else None
    return replace(bin, levels=levels), (TurnGate(to=to),)


# --- tipping --------------------------------------------------------------------------------------------------------


def tipping(bin: Bin, phase: Tipping, event: Event, now_ms: int) -> Step:
    """From durable to done: both end stops in order, the mass gone, nothing risen through the beams."""
    if isinstance(event, CardPresented) and event.holder != phase.session.holder:
        phase = replace(phase, session=replace(phase.session, next_holder=event.holder, active_ms=now_ms))
    if rose(event):
        return tip_failed(bin, phase, "retracted", now_ms)
    if phase.stage == "holding":
        return hold(bin, phase, now_ms)
    if reason := tip_ended_by(bin, now_ms):
        return tip_failed(bin, phase, reason, now_ms)
    if senses.closed_because(bin, now_ms) or not senses.shut(bin):
        return replace(bin, phase=replace(phase, stage="holding", since_ms=now_ms)), (StopGate(),)
    if bin.levels is not None and bin.levels.gate_fault and phase.stage != "settling":
        return gate_failed(bin, phase, bin.levels.gate_fault, now_ms)
    if now_ms - phase.since_ms >= bin.settings.tip_ms:
        return gate_failed(bin, phase, "did not arrive in time", now_ms)
    return tip_on(bin, phase, now_ms)


def tip_on(bin: Bin, phase: Tipping, now_ms: int) -> Step:
    """The next stage when the switch for this one has been reached."""
    gate = bin.levels.gate if bin.levels else "between"
    if phase.stage == "turning" and gate == way_out(bin, phase.body):
        return turn(replace(bin, phase=replace(phase, stage="homing")), "home")
    if phase.stage == "homing" and gate == "home":
        return replace(bin, phase=replace(phase, stage="settling", since_ms=now_ms), equal_stable=0), ()
    if phase.stage == "settling":
        return settle(bin, phase, now_ms)
    return replace(bin, phase=phase), ()


def settle(bin: Bin, phase: Tipping, now_ms: int) -> Step:
    """Wait until the scale says that the mass is gone. One that cannot say it is no reason to call a technician."""
    if is_empty(bin):
        return tip_done(bin, phase)
    if bin.tare_mg is not None and now_ms - phase.since_ms < bin.settings.mass_gone_ms:
        return replace(bin, phase=phase), ()
    if load_mg(bin) is None:
        return tip_failed(bin, phase, "jam", now_ms)
    return gate_failed(bin, phase, "the mass is still on the shelf after the tip", now_ms)


def hold(bin: Bin, phase: Tipping, now_ms: int) -> Step:
    """Start the gate once the flap is closed, the beams are clear and nothing forbids it."""
    if reason := tip_ended_by(bin, now_ms):
        return tip_failed(bin, phase, reason, now_ms)
    if isinstance(phase.body, Refusal) and is_empty(bin):
        return tip_done(bin, phase)  # nothing there to give back
    if not senses.shut(bin) or senses.closed_because(bin, now_ms):
        return replace(bin, phase=replace(phase, stage="holding")), ()
    phase = replace(phase, stage="turning", since_ms=now_ms)
    return turn(replace(bin, phase=phase), way_out(bin, phase.body))


def way_out(bin: Bin, body: Deposit | Refusal) -> Literal["store", "return"]:
    return "return" if isinstance(body, Refusal) and bin.settings.return_way else "store"


def is_empty(bin: Bin) -> bool:
    load = load_mg(bin)
    return load is not None and abs(load) <= bin.settings.shelf_empty_mg


def tip_ended_by(bin: Bin, now_ms: int) -> FailureReason | None:
    match senses.closed_because(bin, now_ms):
        case "heat":
            return "hazard"
        case "door_open":
            return "door"
        case _:
            return None


def tip_done(bin: Bin, phase: Tipping) -> Step:
    done = replace(bin, phase=replace(phase, stage="done"))
    if isinstance(phase.body, Refusal):
        return done, ()
    return done, (AppendLater(body=TipConfirmed(item_id=phase.body.item_id, recovered=False)),)


def gate_failed(bin: Bin, phase: Tipping, detail: str, now_ms: int) -> Step:
    """The gate needs a technician; whether the item is still there says which failure it was."""
    bin = replace(bin, gate_blocked=f"{detail}: open the door, free the gate, shut the door")
    return tip_failed(bin, phase, "removed" if is_empty(bin) else "jam", now_ms)


def tip_failed(bin: Bin, phase: Tipping, reason: FailureReason, now_ms: int) -> Step:
    """The credit stands. The shelf is unknown from here until the gate has cycled."""
    deposited = isinstance(phase.body, Deposit)
    session = replace(phase.session, next_holder=None)  # the next one taps again, once the bin is open
    bin = replace(bin, phase=Recovering(since_ms=now_ms, deposited=deposited, session=session))
    if not isinstance(phase.body, Deposit):
        return bin, (LockFlap(), StopGate())
    return bin, (LockFlap(), StopGate(), AppendLater(body=TipFailed(item_id=phase.body.item_id, reason=reason)))


# --- recovering -----------------------------------------------------------------------------------------------------


def recovering(bin: Bin, phase: Recovering, now_ms: int) -> Step:
    """Cycle the gate once to store, then tare. This never credits."""
    if phase.stage == "waiting":
        if not may_cycle(bin, now_ms) or bin.mass is None or bin.equal_stable < STABLE_READINGS:
            return bin, ()
        # An interrupted cycle may have emptied the shelf already, so what lay there first is what counts.
        before_mg = bin.mass.mass_mg if phase.before_mg is None else phase.before_mg
        phase = replace(phase, stage="turning", since_ms=now_ms, before_mg=before_mg)
        bin, effects = turn(replace(bin, phase=phase), "store")
        return bin, (LockFlap(), *effects)
    if not may_cycle(bin, now_ms):
        kept_mg = None if senses.scale_silent(bin, now_ms) else phase.before_mg
        return replace(bin, phase=replace(phase, stage="waiting", before_mg=kept_mg)), (StopGate(),)
    fault = bin.levels.gate_fault if bin.levels and phase.stage != "settling" else None
    if fault or (phase.stage != "settling" and now_ms - phase.since_ms >= bin.settings.tip_ms):
        detail = f"{fault or 'did not arrive in time'}: open the door, free the gate, shut the door"
        return replace(bin, gate_blocked=detail, phase=replace(phase, stage="waiting")), (StopGate(),)
    return recover_on(bin, phase, now_ms)


def recover_on(bin: Bin, phase: Recovering, now_ms: int) -> Step:
    gate = bin.levels.gate if bin.levels else "between"
    if phase.stage == "turning" and gate == "store":
        return turn(replace(bin, phase=replace(phase, stage="homing")), "home")
    if phase.stage == "homing" and gate == "home":
        return replace(bin, phase=replace(phase, stage="settling", since_ms=now_ms), equal_stable=0), ()
    if phase.stage == "settling" and bin.mass is not None and bin.equal_stable >= STABLE_READINGS:
        return recovered(bin, phase, bin.mass.mass_mg, now_ms)
    return bin, ()


def may_cycle(bin: Bin, now_ms: int) -> bool:
    """No hazard, door and flap sensed closed, beams clear, and what is found can be recorded."""
    return (
        senses.closed_because(bin, now_ms) is None
        and senses.shut(bin)
        and bin.ledger_open
        and bin.storage_trouble is None
        and bin.gate_blocked is None
        and not senses.scale_silent(bin, now_ms)
    )


def recovered(bin: Bin, phase: Recovering, tare_mg: int, now_ms: int) -> Step:
    cleared_mg = (phase.before_mg or 0) - tare_mg
    effects = tuple(AppendLater(body=TipConfirmed(item_id=item_id, recovered=True)) for item_id in bin.open_deposits)
    bin = replace(bin, phase=goodbye(bin, phase.session, now_ms), tare_mg=tare_mg, open_deposits=())
    if effects or phase.deposited or cleared_mg <= bin.settings.shelf_empty_mg:
        return bin, effects
    bin = replace(bin, notice="orphan_cleared", notice_until_ms=now_ms + bin.settings.notice_ms)
    return bin, (AppendLater(body=OrphanCleared(mass_mg=cleared_mg)),)


def goodbye(bin: Bin, session: Session | None, now_ms: int) -> Idle:
    """Idle, with the goodbye that whoever was interrupted is still there to read."""
    if session is None or not senses.still_there(bin, session, now_ms):
        return Idle()
    return Idle(farewell=session, farewell_until_ms=now_ms + bin.settings.farewell_ms)
