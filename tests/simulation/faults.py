"""What goes wrong, by name; how often each has happened; and death at a chosen place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BOUNDARIES = (
    *(
        f"{side} {effect}"
        for effect in ("UnlockFlap", "LockFlap", "TurnGate", "StopGate", "Append", "AppendLater", "Answer")
        for side in ("before", "after")
    ),
    "before BEGIN",
    "after INSERT",
    "before COMMIT",
    "after COMMIT",
    "between commit and Appended",
    "between event and screen",
    "after screen",
    "before apply",
    "after apply",
)
"""Every place at which the process can be made to die."""

CRASHES = (*(f"crash {boundary}" for boundary in BOUNDARIES), "crash while idle", "power cut")

NETWORK = (
    "request lost",
    "response lost",
    "response late",
    "request doubled",
    "response doubled",
    "response of a foreign key",
    "response to a foreign nonce",
    "acknowledgement beyond the end",
    "acknowledgement of another hash",
    "4xx storm",
    "5xx storm",
    "5xx although taken",
    "network down",
    "server restored",
)

STORAGE = ("COMMIT failed, lost", "COMMIT failed, kept", "storage out", "slow card")

CLOCK = ("wall clock years ahead", "wall clock years behind", "wall clock untrusted")

BIN = (
    "reader noise",
    "scale noise",
    "ghost in the beams",
    "placed past the beams",
    "missed the shelf",
    "flap stuck open",
    "gate jammed",
    "item pulled out",
    "door opened",
    "heat",
    "temperature sensor broken",
    "scale unplugged",
    "card reader unplugged",
    "beam wire held",
    "inbox full",
)

PEOPLE = ("string", "hand", "stone", "overload", "two at once", "second card", "card held", "code scanned", "tariff")

ALL = (*CRASHES, *NETWORK, *STORAGE, *CLOCK, *BIN, *PEOPLE)


class Crashed(BaseException):
    """The process is no more. Not an Exception: no handler of the product may hear of its own death."""


class Fate:
    """Counts what happened, and ends the process at the boundary that was drawn for it.

    ``on_death`` runs at that very moment, before anything unwinds: what is on the disk then is all that is left.
    """

    def __init__(self, on_death: Callable[[], None]) -> None:
        self.fired: Counter[str] = Counter()
        self._on_death = on_death
        self._doom: tuple[str, int] | None = None
        self._alive = False

    def begin(self, doom: tuple[str, int] | None) -> None:
        """A process starts; ``doom``: the boundary at which it will die, and the how manieth time it comes there."""
        self._doom, self._alive = doom, True

    def end(self) -> None:
        self._alive = False

    def reach(self, boundary: str) -> None:
        if self._doom is None or not self._alive or self._doom[0] != boundary:
            return
        self._doom = (boundary, self._doom[1] - 1)
        if self._doom[1] <= 0:
            self.die(f"crash {boundary}")

    def die(self, name: str) -> None:
        assert name in CRASHES
        self.fired[name] += 1
        self._alive, self._doom = False, None
        self._on_death()
        raise Crashed(name)

    def spare(self) -> None:
        """No more death in this life."""
        self._doom = None

    def happened(self, name: str) -> None:
        assert name in ALL, name
        self.fired[name] += 1

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        self.reach(f"before {name}")
        yield
        self.reach(f"after {name}")
