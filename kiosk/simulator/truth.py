"""What really fell and where it really lies: for an oracle that asks neither the daemon nor the server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Where = Literal["hand", "chute", "shelf", "store", "return", "gone"]
"""``hand``: with the resident, before the drop or pulled back out. ``chute``: on its way. ``gone``: out of the bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One item from the moment at which a resident wanted to drop it."""

    fall_id: int
    kind: str
    mass_mg: int
    string: bool
    through_beams: bool
    """False: it came onto the shelf by another way."""
    asked_ns: int
    t_ns: int | None = None
    """When it first cut beam A (or was laid down); null while it has not fallen."""
    where: Where = "hand"
    given_up: bool = False
    """The resident went away with it: the flap stayed locked."""
    history: tuple[tuple[int, Where], ...] = ()


class Truth:
    def __init__(self) -> None:
        self._falls: dict[int, Fall] = {}
        self._lying: dict[Where, dict[int, None]] = {}

    @property
    def falls(self) -> tuple[Fall, ...]:
        return tuple(self._falls.values())

    def __getitem__(self, fall_id: int) -> Fall:
        return self._falls[fall_id]

    def add(self, *, kind: str, mass_mg: int, string: bool, through_beams: bool, now_ns: int) -> Fall:
        fall = Fall(
            fall_id=len(self._falls) + 1,
            kind=kind,
            mass_mg=mass_mg,
            string=string,
            through_beams=through_beams,
            asked_ns=now_ns,
        )
        self._falls[fall.fall_id] = fall
        return fall

    def move(self, fall_id: int, where: Where, now_ns: int) -> None:
        fall = self._falls[fall_id]
        self._lying.get(fall.where, {}).pop(fall_id, None)
        self._lying.setdefault(where, {})[fall_id] = None
        self._falls[fall_id] = replace(fall, where=where, history=(*fall.history, (now_ns, where)))

    def fell(self, fall_id: int, now_ns: int) -> None:
        fall = self._falls[fall_id]
        self._falls[fall_id] = replace(fall, t_ns=now_ns if fall.t_ns is None else fall.t_ns)

    def give_up(self, fall_id: int) -> None:
        self._falls[fall_id] = replace(self._falls[fall_id], given_up=True)

    def lying(self, where: Where) -> list[Fall]:
        """What was moved there and not away again, in the order in which it came."""
        return [self._falls[fall_id] for fall_id in self._lying.get(where, ())]
