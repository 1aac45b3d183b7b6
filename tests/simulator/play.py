"""Playing a world by hand: what a script needs to say when, and to see what came of it."""

from __future__ import annotations

from kiosk.simulator.outputs import Happened, PinChanged, SerialSent
from kiosk.simulator.params import Params
from kiosk.simulator.wiring import INPUTS, OUTPUTS
from kiosk.simulator.world import World

MS = 1_000_000
NAMES = {bcm: line for line, bcm in INPUTS.items()}


class Play:
    """A world of which everything that came out is kept."""

    def __init__(self, seed: int = 1, **params: int) -> None:
        self.world = World(seed, Params(**params))
        self.outputs: list[object] = []

    def out(self, name: str, level: int) -> None:
        self.world.set_output(OUTPUTS[name], level, self.world.now_ns)

    def wait(self, ms: int) -> None:
        until_ns = self.world.now_ns + ms * MS
        while (next_ns := self.world.next_ns()) is not None and next_ns <= until_ns:
            self.outputs += self.world.advance(next_ns)
        self.outputs += self.world.advance(until_ns)

    def edges(self, *lines: str) -> list[tuple[str, int]]:
        """Changes of these lines in order, as (line, electrical level)."""
        return [(line, level) for line, level, _ in self.timed_edges(*lines)]

    def timed_edges(self, *lines: str) -> list[tuple[str, int, int]]:
        changes = [output for output in self.outputs if isinstance(output, PinChanged)]
        return [(NAMES[c.bcm], c.level, c.t_ns) for c in changes if NAMES[c.bcm] in lines]

    def events(self, *names: str) -> list[Happened]:
        return [output for output in self.outputs if isinstance(output, Happened) and output.name in names]

    def sent(self, device: str) -> bytes:
        return b"".join(o.data for o in self.outputs if isinstance(o, SerialSent) and o.device == device)

    def where(self, fall_id: int) -> str:
        return self.world.truth[fall_id - 1].where

    def deposit(self, kind: str = "aa") -> int:
        """An item falls onto the shelf and the flap is locked and closed again."""
        self.out("flap_lock", 1)
        fall_id = self.world.drop(kind)
        self.wait(1_000)
        self.out("flap_lock", 0)
        return fall_id
