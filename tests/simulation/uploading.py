"""The uploader's thread in virtual time: what ``sync/uploader_thread.py`` does, without waiting for anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from kiosk.core.events import ServerTimeReceived, SyncChanged, TariffReceived
from sync import wire
from sync.exchange import Apply
from sync.ledger.errors import LedgerError
from sync.ledger.ledger import Ledger
from sync.ledger.values import LedgerEvent
from sync.upload_steps import AskBatch, AskHash, Forked, Offline, Online, Outcome, Send, ServerTime, TariffIssued, Wait
from sync.uploader import Uploader

if TYPE_CHECKING:
    from tests.simulation.controller import Controller
    from tests.simulation.run import Simulation


class Uploading:
    """One exchange at a time, for as long as its process lives."""

    def __init__(self, simulation: Simulation, controller: Controller) -> None:
        self._simulation = simulation
        self._controller = controller
        self._clock = simulation.clock
        self._fate = simulation.fate
        self.after = controller.after
        self.uploader = Uploader(identity=simulation.identity, rng=Random(f"{simulation.seed}:up:{simulation.lives}"))
        self._outcomes: deque[Outcome] = deque()
        self._busy = False
        self._turn = 0

    @property
    def busy(self) -> bool:
        """Whether anything is under way between ledger, network and server."""
        return self._busy

    def poke(self) -> None:
        """Call the server soon."""
        self.uploader.poke()
        self.after(1, self.step)

    def step(self) -> None:
        """Go on until something has to be waited for."""
        if self._busy:
            return
        self._busy = True
        self._turn += 1
        if self._outcomes:
            self._do_first()
            return
        now_ms = self._clock.mono_ms()
        match self.uploader.next(now_ms):
            case Wait(until_ms=until_ms):
                self._busy = False
                self.after(max(until_ms - now_ms, 0), partial(self._wake, self._turn))
            case AskBatch(records_max=records_max, bytes_max=bytes_max):
                self._ask(lambda ledger: ledger.batch(records_max, bytes_max), self._got_batch)
            case AskHash(generation=generation, seq=seq):
                self._ask(lambda ledger: ledger.hash_at(generation, seq), self._got_hash)
            case Send() as send:
                self._simulation.network.send(send, self)

    def _wake(self, turn: int) -> None:
        if turn == self._turn:
            self.step()

    def _ask(self, request: Callable[[Ledger], Any], then: Callable[[Any], None]) -> None:
        def served(now_ms: int) -> list[LedgerEvent]:
            answer, events = self._controller.keeper.ask(request, now_ms)
            self.after(1, lambda: then(answer))
            return events

        self._controller.ask(served)

    def _go_on(self, delay_ms: float = 0) -> None:
        def again() -> None:
            self._busy = False
            self.step()

        self.after(delay_ms, again)

    def _got_batch(self, batch: Any) -> None:
        if isinstance(batch, LedgerError):
            self._go_on(1_000)
            return
        counts, tariff = self._controller.bin.counts, self._controller.bin.tariff
        status = wire.Status(
            software="0",
            accepted=counts.accepted,
            acknowledged=counts.acknowledged,
            pending=counts.pending,
            held=counts.held,
            tariff_version=tariff.version if tariff else None,
        )
        self.uploader.batch(batch, status, self._clock.stamp(), self._clock.mono_ms())
        self._go_on()

    def _got_hash(self, own: Any) -> None:
        if isinstance(own, LedgerError):
            self._go_on(1_000)
            return
        self._outcomes.extend(self.uploader.own_hash(own, self._clock.mono_ms()))
        self._go_on()

    def answered(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """The network's answer to the request in flight, or what passes for one."""
        now_ms = self._clock.mono_ms()
        self._outcomes.extend(self.uploader.answered(status, headers, body, now_ms))
        if self.uploader.in_flight:
            self._outcomes.extend(self.uploader.failed("something answers that is not the server", now_ms))
        self._go_on()

    def answered_again(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """The same bytes once more, when nothing may come of them."""
        assert self.uploader.in_flight or not self.uploader.answered(status, headers, body, self._clock.mono_ms())

    def failed(self, reason: str) -> None:
        self._outcomes.extend(self.uploader.failed(reason, self._clock.mono_ms()))
        self._go_on()

    def _do_first(self) -> None:
        outcome = self._outcomes[0]
        match outcome:
            case Apply():
                self._fate.reach("before apply")
                self._simulation.oracle.applies(outcome)
                self._ask(partial(self._apply, outcome), self._done_first)
            case Forked(generation=generation):
                stamp = self._clock.stamp()
                self._ask(
                    lambda ledger: ledger.begin_generation("fork", stamp, instead_of=generation), self._done_first
                )
            case TariffIssued(tariff=tariff):
                self._ask(lambda ledger: ledger.store_tariff(tariff), self._done_first)
            case _:
                self._done_first(None)

    def _apply(self, outcome: Apply, ledger: Ledger) -> Any:
        counts = ledger.apply(outcome)
        self._fate.reach("after apply")
        self._simulation.oracle.applied(ledger)
        return counts

    def _done_first(self, answer: Any) -> None:
        if isinstance(answer, LedgerError):
            self._go_on(1_000)
            return
        match self._outcomes.popleft():
            case Apply() if answer is not None:
                self._controller.put(SyncChanged(online=True, counts=answer, trouble=None))
            case Online():
                self._controller.put(SyncChanged(online=True, counts=None, trouble=None))
            case Offline(trouble=trouble):
                self._controller.put(SyncChanged(online=False, counts=None, trouble=trouble))
            case TariffIssued(tariff=tariff) if answer:
                self._controller.put(TariffReceived(tariff=tariff))
            case ServerTime(wall_ms=wall_ms):
                self._controller.put(ServerTimeReceived(wall_ms=wall_ms))
            case _:
                pass
        self._go_on()
