"""What the resident's screen shows: a value derived from the bin's state, and from nothing else."""

from __future__ import annotations

from typing import Literal, assert_never

from msgspec import Struct

from kiosk.core import judge, machine, senses
from kiosk.core.states import (
    Accepting,
    Bin,
    Closing,
    Committing,
    Credit,
    Idle,
    Recovering,
    Session,
    Stopped,
    Tipping,
    Weighing,
)

Screen = Literal[
    "starting",
    "recovering",
    "idle",
    "accepting",
    "closing",
    "weighing",
    "committing",
    "credited",
    "refused",
    "farewell",
    "closed",
    "hazard",
]
InTheWay = Literal["close_flap", "beams"]
"""For a moment; once it lasts it is one of :data:`kiosk.core.senses.Stuck`."""

Hint = Literal[InTheWay, "one_at_a_time", "clearing", "orphan_cleared", "card_reader"]
"""What the resident should do or know, beside why the bin is closed and why something was refused."""

Said = tuple[Screen, Hint | senses.Closed | None]


class View(Struct, frozen=True, kw_only=True):
    """Everything the page needs; sent whole at every change.

    ``reason`` is a code that the page has a sentence for, in both languages: why the bin is closed, why an item was
    refused, what the resident should do. ``credit`` is set only by a committed deposit; whatever happens to the bin
    then, it stays until its resident has gone or something else has fallen.
    """

    screen: Screen
    language: Literal["zh", "en"]
    reason: str | None = None
    credit: Credit | None = None
    session_points: int = 0
    session_items: int = 0
    remaining_points: int | None = None
    """How much the cap still leaves in the window that ends now; null without a session."""
    next_resident_waits: bool = False
    online: bool = False
    on_its_way: int = 0
    """Deposits that the server has not acknowledged yet."""
    deadline_ms: int | None = None
    """How long the resident has from this view on; the page counts it down."""


def view_of(bin: Bin, now_ms: int) -> View:
    """Derive the screen. A credit can come only from a session, and only a commit puts one there."""
    session = session_of(bin, now_ms)
    screen, reason = scene(bin, now_ms)
    return View(
        screen=screen,
        language=bin.language,
        reason=reason,
        credit=session.credit if session else None,
        session_points=session.points if session else 0,
        session_items=session.items if session else 0,
        remaining_points=remaining(bin, session, now_ms) if session else None,
        next_resident_waits=session is not None and session.next_holder is not None,
        online=bin.online,
        on_its_way=bin.counts.pending,
        deadline_ms=bin.settings.session_idle_ms if screen == "accepting" else None,
    )


def session_of(bin: Bin, now_ms: int) -> Session | None:
    match bin.phase:
        case Accepting(session=session) | Closing(session=session) | Weighing(session=session):
            return session
        case Committing(session=session) | Tipping(session=session):
            return session
        case Idle(farewell=session):
            return session
        case Recovering(session=session):
            return session if session and senses.still_there(bin, session, now_ms) else None
        case Stopped():
            return None
        case _ as unreachable:
            assert_never(unreachable)


def remaining(bin: Bin, session: Session, now_ms: int) -> int:
    return max(0, bin.settings.cap_points - machine.points_used(bin, session, now_ms))


def scene(bin: Bin, now_ms: int) -> tuple[Screen, str | None]:
    """Which scene, and the code of its sentence. Danger first, then what this resident must know, then the rest."""
    closed = senses.no_session_because(bin, now_ms)
    if closed == "heat":
        return "hazard", closed
    match bin.phase:
        case Stopped():
            return "closed", "starting"
        case Recovering():
            return recovering_scene(bin, closed, now_ms)
        case Idle(farewell=farewell):
            if farewell:
                return "farewell", farewell.refused
            return idle_scene(bin, closed, now_ms)
        case Accepting(session=session):
            return "accepting", session.refused
        case Closing() as phase:
            return "closing", closing_reason(bin, phase, now_ms)
        case Weighing():
            return "weighing", None
        case Committing():
            return ("closed", closed) if bin.storage_trouble else ("committing", None)
        case Tipping(session=session):
            if session.refused:
                return "refused", session.refused
            return "credited", in_the_way(bin, now_ms)
        case _ as unreachable:
            assert_never(unreachable)


def recovering_scene(bin: Bin, closed: senses.Closed | None, now_ms: int) -> Said:
    if closed == "starting":
        return "starting", closed
    if closed:
        return "closed", closed
    if hint := in_the_way(bin, now_ms):
        return "closed", hint
    return "recovering", "clearing"


def idle_scene(bin: Bin, closed: senses.Closed | None, now_ms: int) -> Said:
    if closed:
        return "closed", closed
    if hint := in_the_way(bin, now_ms):
        return "closed", hint
    if now_ms < bin.notice_until_ms:
        return "idle", bin.notice
    return "idle", "card_reader" if "card_reader" in bin.lost else None


def closing_reason(bin: Bin, phase: Closing, now_ms: int) -> Hint | senses.Stuck | None:
    if now_ms - phase.since_ms >= bin.settings.flap_hint_ms:
        return in_the_way(bin, now_ms)
    passages = phase.item.passages if phase.item else ()
    fell = [judge.way_of(passage) == "fell" for passage in passages]
    return "one_at_a_time" if len(fell) > 1 and all(fell) else None  # what goes up and down hangs on a string


def in_the_way(bin: Bin, now_ms: int) -> InTheWay | senses.Stuck | None:
    """What keeps the bin from being shut: to be let go of, or, when that was of no use, a thing for the staff."""
    if bin.levels is None or senses.shut(bin):
        return None
    return senses.stuck(bin, now_ms) or ("beams" if bin.levels.flap_closed else "close_flap")
