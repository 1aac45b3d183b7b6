"""Mistakes put into the product on purpose, one place each; the simulation is worth what it catches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import msgspec

from kiosk.core import machine, senses, shelf
from kiosk.core.effects import Append, TurnGate
from sync.exchange import Hold
from sync.ledger.ledger import Ledger
from sync.points_server import judge as server_judge
from sync.records import Deposit, Holder
from sync.upload_steps import Apply
from sync.uploader import Uploader

Mutant = Callable[[], AbstractContextManager[Any]]
MUTANTS: dict[str, Mutant] = {}


def mutant(make: Mutant) -> Mutant:
    MUTANTS[make.__name__] = make
    return make


# --- named by the project -------------------------------------------------------------------------------------------


@mutant
def shown_before_commit() -> AbstractContextManager[Any]:
    """The credit enters the session with the verdict."""
    judged = machine.judged

    def eager(bin, session, item, mass_mg, now_ms):  # type: ignore[no-untyped-def]
        bin, effects = judged(bin, session, item, mass_mg, now_ms)
        if isinstance(bin.phase.body, Deposit):
            phase = replace(bin.phase, session=machine.with_credit(bin.phase.session, bin.phase.body))
            bin = replace(bin, phase=phase)
        return bin, effects

    return patch.object(machine, "judged", eager)


@mutant
def unacknowledged_record_dropped() -> AbstractContextManager[Any]:
    """Whatever was acknowledged, the cursor goes to the end: the rest is never sent."""
    apply = Ledger.apply

    def careless(self, answer):  # type: ignore[no-untyped-def]
        head = self.head()
        return apply(self, replace(answer, generation=head.generation, seq=head.seq, hash=bytes.fromhex(head.hash)))

    return patch.object(Ledger, "apply", careless)


@mutant
def acknowledgement_believed_beyond_the_end() -> AbstractContextManager[Any]:
    """Of anything that is our own, sent or not."""
    return patch("sync.uploader._covers", lambda flight, generation, seq: True)


@mutant
def tip_before_commit() -> AbstractContextManager[Any]:
    """The gate starts with the verdict, while the record is on its way to the disk."""
    judged = machine.judged

    def hasty(bin, session, item, mass_mg, now_ms):  # type: ignore[no-untyped-def]
        bin, effects = judged(bin, session, item, mass_mg, now_ms)
        return bin, (*effects, TurnGate(to="store"))

    return patch.object(machine, "judged", hasty)


@mutant
def hold_on_a_5xx() -> AbstractContextManager[Any]:
    """A server that does not work is taken for one that refuses what it was sent."""
    answered = Uploader.answered

    def sulking(self, status, headers, body, now_ms):  # type: ignore[no-untyped-def]
        flight = self._state if self.in_flight else None
        outcomes = answered(self, status, headers, body, now_ms)
        if flight and status >= 500 and flight.batch.records:
            last = flight.batch.records[-1]
            held = tuple(
                Hold(generation=record.generation, seq=record.seq, code="refused", text="")
                for record in flight.batch.records
            )
            outcomes = [Apply(generation=last.generation, seq=last.seq, hash=last.hash, held=held), *outcomes]
        return outcomes

    return patch.object(Uploader, "answered", sulking)


@mutant
def points_repriced_at_the_server() -> AbstractContextManager[Any]:
    """The server pays by the newest tariff that it issued, whatever was shown."""
    judge = server_judge.judge

    def reprice(record, branch, issued):  # type: ignore[no-untyped-def]
        outcome = judge(record, branch, issued)
        if isinstance(outcome, server_judge.Payable) and outcome.points and issued:
            body = msgspec.json.decode(record.body)
            points = issued[max(issued)].items[body["battery_class"]].points * body["count"]
            outcome = replace(outcome, points=points)
        return outcome

    return patch("sync.points_server.intake.judge", reprice)


# --- our own --------------------------------------------------------------------------------------------------------


@mutant
def appended_again_without_looking() -> AbstractContextManager[Any]:
    """After a failed COMMIT everything is put into the queue again, kept or not."""
    return patch.object(Ledger, "missing", lambda self, entries, *, after: list(entries))


@mutant
def never_appended_again() -> AbstractContextManager[Any]:
    """After a failed COMMIT nothing is: the resident is told, the record may be gone."""
    return patch.object(Ledger, "missing", lambda self, entries, *, after: [])


@mutant
def recovery_credits() -> AbstractContextManager[Any]:
    """A crash between fall and commit is made good by a guess from the mass."""
    recovered = shelf.recovered

    def generous(bin, phase, tare_mg, now_ms):  # type: ignore[no-untyped-def]
        bin, effects = recovered(bin, phase, tare_mg, now_ms)
        if bin.notice != "orphan_cleared" or bin.tariff is None:
            return bin, effects
        deposit = Deposit(
            item_id=f"guess-{now_ms}",
            holder=Holder(scheme="em4100", ref="guess"),
            battery_class="AA",
            count=1,
            item_code=bin.tariff.items["AA"].item_code,
            points=bin.tariff.items["AA"].points,
            unpaid=False,
            tariff_version=bin.tariff.version,
            mass_mg=None,
            cap_ms=bin.cap_clock.now(now_ms),
            evidence_sha256="0" * 64,
        )
        return bin, (*effects, Append(ticket=deposit.item_id, body=deposit))

    return patch.object(shelf, "recovered", generous)


@mutant
def hazard_forgotten_at_restart() -> AbstractContextManager[Any]:
    opened = senses.ledger_opened

    def forgetful(bin, event, now_ms):  # type: ignore[no-untyped-def]
        return opened(bin, replace(event, hazards=()), now_ms)

    return patch.object(senses, "ledger_opened", forgetful)


@mutant
def open_deposits_forgotten_at_restart() -> AbstractContextManager[Any]:
    opened = senses.ledger_opened

    def forgetful(bin, event, now_ms):  # type: ignore[no-untyped-def]
        return opened(bin, replace(event, open_deposits=()), now_ms)

    return patch.object(senses, "ledger_opened", forgetful)


@mutant
def flap_taken_for_shut() -> AbstractContextManager[Any]:
    """Commanded closed is taken for sensed closed."""
    return patch.object(senses, "shut", lambda bin: bin.levels is not None)


@mutant
def cursor_never_goes_back() -> AbstractContextManager[Any]:
    """A server restored from a backup does not get again what it lost."""
    apply = Ledger.apply

    def stubborn(self, answer):  # type: ignore[no-untyped-def]
        if self.is_acknowledged(answer.generation, answer.seq):
            return self.counts()
        return apply(self, answer)

    return patch.object(Ledger, "apply", stubborn)


@mutant
def any_signature_believed() -> AbstractContextManager[Any]:
    """Somebody in between may say that all has arrived."""
    return patch("sync.uploader.wire.verified", lambda key, signature, digest: True)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The product with that one mistake."""
    with MUTANTS[name]():
        yield
