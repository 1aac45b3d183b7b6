"""What the core may ask of the world, in the imperative. ``perform.py`` does it, in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync.records import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockFlap:
    """Power the lock; the driver bounds how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFlap:
    """Cut the lock's power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnGate:
    """Run the gate's motor until that switch is reached; the driver bounds how long and reports a stall."""

    to: Literal["store", "return", "home"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopGate:
    """Cut the gate's motor at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Make this record durable, and say :class:`~kiosk.core.events.Appended` with ``ticket`` when it is."""

    ticket: str
    body: Body
    evidence: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendLater:
    """Record this with the next commit, or when idle; no answer."""

    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Tell the technician who waits for ``ticket`` what came of it."""

    ticket: str
    done: bool
    text: str


Effect = UnlockFlap | LockFlap | TurnGate | StopGate | Append | AppendLater | Answer
