"""Effects to drivers and ledger, in the order in which the core gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from kiosk.core.effects import Answer, Append, AppendLater, Effect, LockFlap, StopGate, TurnGate, UnlockFlap
from kiosk.devices import Devices
from sync.ledger.thread import LedgerThread
from sync.ledger.values import Entry
from sync.records import Stamp


class Performer:
    """Does what the core asks and waits for nothing: the ledger answers through the inbox."""

    def __init__(
        self, devices: Devices, ledger: LedgerThread, stamp: Callable[[], Stamp], answer: Callable[[Answer], None]
    ) -> None:
        self._devices = devices
        self._ledger = ledger
        self._stamp = stamp
        self._answer = answer

    def perform(self, effect: Effect) -> None:
        match effect:
            case UnlockFlap():
                self._devices.unlock_flap(self._stamp().mono_ms)
            case LockFlap():
                self._devices.lock_flap()
            case TurnGate(to=to):
                self._devices.turn_gate(to, self._stamp().mono_ms)
            case StopGate():
                self._devices.stop_gate()
            case Append(ticket=ticket, body=body, evidence=evidence):
                self._ledger.append(ticket, [Entry(body=body, stamp=self._stamp(), evidence=evidence)])
            case AppendLater(body=body):
                self._ledger.append_later(Entry(body=body, stamp=self._stamp()))
            case Answer():
                self._answer(effect)
            case _ as unreachable:
                assert_never(unreachable)
