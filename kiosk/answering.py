"""Answers to the technicians' questions, put together in the control socket's threads."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from kiosk import ledger_questions
from kiosk.clock import Clock
from kiosk.control_socket import Reply, Request
from kiosk.core.effects import Answer
from kiosk.core.events import EmptyingReported, Event, HazardClearRequested
from kiosk.core.states import Bin
from kiosk.status import status_of
from sync.ledger.errors import LedgerError
from sync.ledger.thread import LedgerThread

WAIT_S_MAX = 10.0
TEXT_CHARACTERS_MAX = 2_000
"""Of a reason or a note: a record's body has its limits, and nobody reads more."""


class Answering:
    """Knows whom to ask: the state as it is now, the ledger's thread, or the loop through the inbox."""

    def __init__(
        self,
        ledger: LedgerThread,
        put: Callable[[str, Event], None],
        clock: Clock,
        state: Callable[[], Bin],
    ) -> None:
        self._ledger = ledger
        self._put = put
        self._clock = clock
        self._state = state
        self._waiting: dict[str, tuple[threading.Event, list[Answer]]] = {}

    def answer(self, answer: Answer) -> None:
        """The loop has done, or refused, what a technician asked for."""
        waiting = self._waiting.pop(answer.ticket, None)
        if waiting:
            waiting[1].append(answer)
            waiting[0].set()

    def reply(self, request: Request) -> Reply:
        """One request of the CLI. Raises ValueError for one that makes no sense."""
        match request:
            case {"do": "status"}:
                return status_of(self._state(), self._clock.mono_ms())
            case {"do": "clear_hazards", "reason": str(reason)}:
                reason = self._bounded(reason)
                return self._through_loop(lambda ticket: HazardClearRequested(ticket=ticket, reason=reason))
            case {"do": "report_emptied", "note": str(note)}:
                note = self._bounded(note)
                return self._through_loop(lambda ticket: EmptyingReported(ticket=ticket, note=note))
            case {"do": "ledger", **question}:
                return self._ask_ledger(question)
            case _:
                raise ValueError(f"the daemon does not know how to answer {request!r}: are both of one version?")

    def _ask_ledger(self, question: dict[str, Any]) -> Reply:
        try:
            return self._ledger.ask(lambda ledger: ledger_questions.answer(ledger, question)).result(WAIT_S_MAX)
        except LedgerError as error:
            return {"error": str(error)}
        except TimeoutError:
            return {"error": f"the ledger did not answer within {WAIT_S_MAX:.0f} s: its card may be failing"}

    @staticmethod
    def _bounded(text: str) -> str:
        if len(text) > TEXT_CHARACTERS_MAX:
            raise ValueError(f"the text has {len(text)} characters: write {TEXT_CHARACTERS_MAX} at most")
        return text

    def _through_loop(self, event: Callable[[str], Event]) -> Reply:
        ticket = uuid.uuid4().hex
        done, answers = threading.Event(), list[Answer]()
        self._waiting[ticket] = (done, answers)
        self._put("control", event(ticket))
        if not done.wait(WAIT_S_MAX):
            self._waiting.pop(ticket, None)
            return {"error": f"no answer within {WAIT_S_MAX:.0f} s; it may still be done: look with 'kiosk status'"}
        return {"done": answers[0].done, "text": answers[0].text}
