"""The main job as a pure state machine: ``step(bin, event, now_ms) -> (bin, effects)``.

Nothing here reads a clock, opens a file or draws a screen. Deadlines live in the states and are compared on every
step; level inputs are used as they are now, never only as the edge that announced them. The two rules that everything
else serves: the record is durable before anything is shown or moved (:func:`committing`), and nothing opens while it is
not known to be safe (:func:`kiosk.core.senses.closed_because`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal, assert_never

from kiosk.core import judge, senses, shelf
from kiosk.core.effects import Append, Effect, LockFlap, StopGate, UnlockFlap
from kiosk.core.events import (
    Appended,
    CardPresented,
    DonePressed,
    Event,
    InputsLost,
    ItemPassed,
    LevelsRead,
    MassWeighed,
    StopRequested,
)
from kiosk.core.states import (
    Accepting,
    Bin,
    Closing,
    Committing,
    Credit,
    Idle,
    Item,
    Recovering,
    Session,
    Step,
    Stopped,
    Tipping,
    Weighing,
)
from kiosk.core.tariff import price, used_points
from sync.records import (
    CappedCredit,
    Deposit,
    Evidence,
    MassSample,
    Refusal,
    encode_evidence,
)

MASSES_KEPT_MAX = 8

Interruption = Literal["unclear", "door", "hazard"]
Refused = Literal[judge.Code, Interruption, "unpriced", "over_cap"]
"""Why something was not credited, as a code of the record and of the screen: all of these but ``accepted``."""


def step(bin: Bin, event: Event, now_ms: int) -> Step:
    """Take one event in. Perform the effects in their order; only then derive the screen from the new state."""
    bin, noticed = senses.notice(bin, event, now_ms)
    bin, acted = act(bin, event, now_ms)
    return bin, (*noticed, *acted)


def act(bin: Bin, event: Event, now_ms: int) -> Step:
    if isinstance(event, StopRequested):
        return replace(bin, phase=Stopped()), (LockFlap(), StopGate())
    match bin.phase:
        case Recovering() as phase:
            return shelf.recovering(bin, phase, now_ms)
        case Idle() as phase:
            return idle(bin, phase, event, now_ms)
        case Accepting() as phase:
            return accepting(bin, phase, event, now_ms)
        case Closing() as phase:
            return closing(bin, phase, event, now_ms)
        case Weighing() as phase:
            return weighing(bin, phase, event, now_ms)
        case Committing() as phase:
            return committing(bin, phase, event, now_ms)
        case Tipping() as phase:
            bin, effects = shelf.tipping(bin, phase, event, now_ms)
            return after_tip(bin, effects, now_ms)
        case Stopped():
            return bin, ()
        case _ as unreachable:
            assert_never(unreachable)


# --- between sessions -----------------------------------------------------------------------------------------------


def idle(bin: Bin, phase: Idle, event: Event, now_ms: int) -> Step:
    bin = shelf.follow_drift(bin)
    if shelf.unknown(bin):
        return replace(bin, phase=Recovering(since_ms=now_ms, session=phase.farewell)), ()
    if isinstance(event, CardPresented) and may_begin(bin, now_ms):
        return begin(bin, Session(holder=event.holder, active_ms=now_ms), now_ms)
    if phase.farewell and now_ms >= phase.farewell_until_ms:
        return replace(bin, phase=Idle(), language=bin.settings.language), ()
    return bin, ()


def may_begin(bin: Bin, now_ms: int) -> bool:
    return senses.no_session_because(bin, now_ms) is None and senses.shut(bin) and not shelf.unknown(bin)


def begin(bin: Bin, session: Session, now_ms: int) -> Step:
    phase = Accepting(session=session, deadline_ms=now_ms + bin.settings.session_idle_ms)
    return replace(bin, phase=phase), (UnlockFlap(),)


def part(bin: Bin, session: Session, now_ms: int) -> Step:
    """End a session: lock before goodbye, residents pull the flap when the screen changes."""
    return replace(bin, phase=Closing(session=session, item=None, since_ms=now_ms)), (LockFlap(),)


def farewell(bin: Bin, session: Session, now_ms: int) -> Step:
    if session.next_holder and may_begin(bin, now_ms) and senses.still_there(bin, session, now_ms):
        return begin(bin, Session(holder=session.next_holder, active_ms=session.active_ms), now_ms)
    return replace(bin, phase=Idle(farewell=session, farewell_until_ms=now_ms + bin.settings.farewell_ms)), ()


# --- one item -------------------------------------------------------------------------------------------------------


def accepting(bin: Bin, phase: Accepting, event: Event, now_ms: int) -> Step:
    session = phase.session
    match event:
        case ItemPassed() if judge.way_of(event.passage) != "nothing":
            return caught(bin, session, event, now_ms)
        case CardPresented(holder=holder) if holder != session.holder:
            # Something of the first may be falling right now; its passage is known only when the beams are quiet.
            return part(bin, waiting_card(session, event, now_ms), now_ms)
        case DonePressed() | InputsLost():
            return part(bin, session, now_ms)
        case _:
            if senses.no_session_because(bin, now_ms) or shelf.unknown(bin) or now_ms >= phase.deadline_ms:
                return part(bin, session, now_ms)
            return bin, ()


def caught(bin: Bin, session: Session, event: ItemPassed, now_ms: int) -> Step:
    """Something reached the shelf: no second thing may follow before this one is done with."""
    item = Item(item_id=event.item_id, passages=(event.passage,), fell_ms=now_ms)
    session = replace(session, credit=None, refused=None, active_ms=now_ms)
    return replace(bin, phase=Closing(session=session, item=item, since_ms=now_ms)), (LockFlap(),)


def closing(bin: Bin, phase: Closing, event: Event, now_ms: int) -> Step:
    session = waiting_card(phase.session, event, now_ms)
    item = phase.item
    if isinstance(event, ItemPassed) and judge.way_of(event.passage) != "nothing":
        if item is None:
            return caught(bin, session, event, now_ms)
        item, phase = passed_again(item, event), replace(phase, quiet_since_ms=None)
    if item and (because := interrupted(bin, event, now_ms)):
        return give_up(bin, item, session, because, now_ms)
    quiet_since_ms = (now_ms if phase.quiet_since_ms is None else phase.quiet_since_ms) if senses.shut(bin) else None
    phase = replace(phase, session=session, item=item, quiet_since_ms=quiet_since_ms)
    # Only levels read just now may end the wait: after a stall anything else is older than what fell meanwhile.
    fresh = isinstance(event, LevelsRead)
    if fresh and quiet_since_ms is not None and now_ms - quiet_since_ms >= bin.settings.close_settle_ms:
        if item is None:
            return farewell(bin, session, now_ms)
        return replace(bin, phase=Weighing(session=session, item=item, since_ms=now_ms)), ()
    return replace(bin, phase=phase), ()


def waiting_card(session: Session, event: Event, now_ms: int) -> Session:
    if isinstance(event, CardPresented) and event.holder != session.holder:
        return replace(session, next_holder=event.holder, active_ms=now_ms)
    return session


def passed_again(item: Item, event: ItemPassed) -> Item:
    return replace(item, passages=(*item.passages, event.passage)[: judge.PASSAGES_MAX], masses=())


def interrupted(bin: Bin, event: Event, now_ms: int) -> Interruption | None:
    """Why an uncommitted item cannot be judged any more."""
    if isinstance(event, InputsLost) and event.source == "pins":
        return "unclear"
    match senses.closed_because(bin, now_ms):
        case None | "temperature_sensor":
            return None  # a silent thermometer stops the gate, not the weighing; it heals by itself
        case "door_open":
            return "door"
        case "heat":
            return "hazard"
        case _:
            return "unclear"


def give_up(bin: Bin, item: Item, session: Session, reason: Interruption, now_ms: int) -> Step:
    """Refuse what cannot be judged; the shelf is unknown until the gate has cycled."""
    evidence = encode_evidence(seen(bin, item, mass_mg=None))
    refusal = refuse(item, session, reason, evidence, mass_mg=None)
    phase = Recovering(since_ms=now_ms, session=replace(session, refused=reason, next_holder=None))
    return replace(bin, phase=phase), (
        LockFlap(),
        Append(ticket=item.item_id, body=refusal, evidence=evidence),
    )


def weighing(bin: Bin, phase: Weighing, event: Event, now_ms: int) -> Step:
    session, item = waiting_card(phase.session, event, now_ms), phase.item
    if isinstance(event, ItemPassed) and judge.way_of(event.passage) != "nothing":
        return closing(bin, Closing(session=session, item=item, since_ms=now_ms), event, now_ms)
    if because := interrupted(bin, event, now_ms):
        return give_up(bin, item, session, because, now_ms)
    if not senses.shut(bin):
        item = replace(item, masses=())
        return replace(bin, phase=Closing(session=session, item=item, since_ms=now_ms)), ()
    if isinstance(event, MassWeighed) and now_ms - phase.since_ms >= bin.settings.weigh_settle_ms:
        item = sampled(item, event, now_ms)
    bin = replace(bin, phase=replace(phase, session=session, item=item))
    if bin.tare_mg is None or now_ms - phase.since_ms >= bin.settings.weigh_ms:
        return judged(bin, session, item, None, now_ms)
    if settled(bin, item):
        return judged(bin, session, item, item.masses[-1].mass_mg - bin.tare_mg, now_ms)
    return bin, ()


def sampled(item: Item, mass: MassWeighed, now_ms: int) -> Item:
    sample = MassSample(at_ms=now_ms - item.fell_ms, mass_mg=mass.mass_mg, stable=mass.stable)
    return replace(item, masses=(*item.masses, sample)[-MASSES_KEPT_MAX:])


def settled(bin: Bin, item: Item) -> bool:
    """Two stable readings in a row, both taken since the flap was shut, that agree."""
    if len(item.masses) < 2:
        return False
    last, before = item.masses[-1], item.masses[-2]
    return last.stable and before.stable and abs(last.mass_mg - before.mass_mg) <= bin.settings.stable_within_mg


def seen(bin: Bin, item: Item, *, mass_mg: int | None) -> Evidence:
    return Evidence(
        rules=judge.RULES.version,
        passages=item.passages,
        tare_mg=bin.tare_mg or 0,
        masses=item.masses,
        mass_mg=mass_mg,
    )


def judged(bin: Bin, session: Session, item: Item, mass_mg: int | None, now_ms: int) -> Step:
    """Verdict and price become the record to commit; from here on it is only waited for."""
    evidence = seen(bin, item, mass_mg=mass_mg)
    encoded = encode_evidence(evidence)
    body = record_of(bin, session, item, evidence, encoded, now_ms)
    phase = Committing(session=session, item=item, evidence=evidence, body=body)
    return replace(bin, phase=phase), (Append(ticket=item.item_id, body=body, evidence=encoded),)


def record_of(
    bin: Bin, session: Session, item: Item, evidence: Evidence, encoded: bytes, now_ms: int
) -> Deposit | Refusal:
    verdict = judge.judge(evidence)
    if not verdict.accepted:
        return refuse(item, session, verdict.code, encoded, mass_mg=evidence.mass_mg)
    assert verdict.battery_class is not None
    assert bin.tariff is not None, "no session begins without a tariff, and none is ever taken away"
    priced = price(
        bin.tariff,
        verdict.battery_class,
        verdict.count,
        used=points_used(bin, session, now_ms),
        cap_points=bin.settings.cap_points,
    )
    if priced is None:
        return refuse(item, session, "unpriced", encoded, mass_mg=evidence.mass_mg)
    if priced.over_cap and bin.settings.over_cap == "refuse":
        return refuse(item, session, "over_cap", encoded, mass_mg=evidence.mass_mg)
    return Deposit(
        item_id=item.item_id,
        holder=session.holder,
        battery_class=verdict.battery_class,
        count=verdict.count,
        item_code=priced.item_code,
        points=0 if priced.over_cap else priced.points,
        unpaid=priced.over_cap,
        tariff_version=priced.tariff_version,
        mass_mg=evidence.mass_mg,
        cap_ms=bin.cap_clock.now(now_ms),
        evidence_sha256=hashlib.sha256(encoded).hexdigest(),
    )


def points_used(bin: Bin, session: Session, now_ms: int) -> int:
    """Points of this resident inside the cap's window."""
    cap_now_ms = bin.cap_clock.now(now_ms)
    return used_points(bin.credits, session.holder.ref, cap_now_ms=cap_now_ms, window_ms=bin.settings.cap_window_ms)


def refuse(item: Item, session: Session, reason: Refused, encoded: bytes, *, mass_mg: int | None) -> Refusal:
    return Refusal(
        item_id=item.item_id,
        holder=session.holder,
        reason=reason,
        mass_mg=mass_mg,
        evidence_sha256=hashlib.sha256(encoded).hexdigest(),
    )


# --- commit, then tip -----------------------------------------------------------------------------------------------


def committing(bin: Bin, phase: Committing, event: Event, now_ms: int) -> Step:
    session = waiting_card(phase.session, event, now_ms)
    phase = replace(phase, session=session, disturbed=phase.disturbed or disturbance(bin, event))
    if not (isinstance(event, Appended) and event.ticket == phase.item.item_id):
        return replace(bin, phase=phase), ()
    return committed(bin, phase, now_ms)


def disturbance(bin: Bin, event: Event) -> Literal["retracted", "door"] | None:
    if shelf.rose(event):
        return "retracted"
    return "door" if bin.levels is not None and not bin.levels.door_closed else None


def committed(bin: Bin, phase: Committing, now_ms: int) -> Step:
    """The record is durable: the only place where a credit enters what the screen is derived from."""
    body, session = phase.body, phase.session
    if isinstance(body, Refusal):
        session = replace(session, credit=None, refused=body.reason)
    else:
        session = with_credit(session, body)
        credit = CappedCredit(ref=body.holder.ref, cap_ms=body.cap_ms, points=body.points)
        bin = replace(bin, credits=within_window((*bin.credits, credit), bin.settings.cap_window_ms))
    tipping = Tipping(session=session, body=body, stage="holding", since_ms=now_ms)
    if reason := shelf.tip_ended_by(bin, now_ms) or phase.disturbed:
        return shelf.tip_failed(bin, tipping, reason, now_ms)
    if isinstance(body, Deposit) and shelf.is_empty(bin):
        return shelf.tip_failed(bin, tipping, "removed", now_ms)
    bin, effects = shelf.hold(bin, tipping, now_ms)
    return after_tip(bin, effects, now_ms)


def with_credit(session: Session, deposit: Deposit) -> Session:
    credit = Credit(
        item_id=deposit.item_id,
        battery_class=deposit.battery_class,
        count=deposit.count,
        points=deposit.points,
        unpaid=deposit.unpaid,
    )
    return replace(
        session,
        credit=credit,
        refused=None,
        points=session.points + deposit.points,
        items=session.items + deposit.count,
    )


def within_window(credits: tuple[CappedCredit, ...], window_ms: int) -> tuple[CappedCredit, ...]:
    newest = max(credit.cap_ms for credit in credits)
    return tuple(credit for credit in credits if credit.cap_ms > newest - window_ms)


def after_tip(bin: Bin, effects: tuple[Effect, ...], now_ms: int) -> Step:
    """Once the tip is done with, the session goes on with the next battery, or the next resident, or ends."""
    if not (isinstance(bin.phase, Tipping) and bin.phase.stage == "done"):
        return bin, effects
    session = bin.phase.session
    if session.next_holder or not may_begin(bin, now_ms) or not senses.still_there(bin, session, now_ms):
        bin, more = farewell(bin, session, now_ms)
    else:
        bin, more = begin(bin, session, now_ms)
    return bin, (*effects, *more)
