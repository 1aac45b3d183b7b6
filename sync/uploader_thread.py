"""Runs the uploader over HTTP. It asks the ledger's thread for everything and never touches SQLite."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import requests

from sync import wire
from sync.exchange import Apply, Batch
from sync.ledger.errors import LedgerError
from sync.records import Stamp, Tariff
from sync.upload_steps import Alarm, AskBatch, AskHash, Forked, Outcome, Send, TariffIssued, Wait
from sync.uploader import ANSWER_MS_MAX, Uploader

CONNECT_S_MAX = 10
READ_S_MAX = 20
"""Silence on the line; the whole answer has :data:`sync.uploader.ANSWER_MS_MAX`."""
LEDGER_RETRY_S = 1.0
"""The ledger is closed for repair or the medium is full: its own thread retries, we ask again."""
CHUNK_BYTES = 1_024
"""The deadline is looked at after each."""


class LedgerPort(Protocol):
    """What the uploader needs of the ledger. Each call waits; each may raise :class:`LedgerError`."""

    def batch(self, records_max: int, bytes_max: int) -> Batch: ...

    def hash_at(self, generation: str, seq: int) -> bytes | None: ...

    def apply(self, answer: Apply) -> None: ...

    def begin_generation(self, instead_of: str) -> None: ...

    def store_tariff(self, tariff: Tariff) -> bool:
        """False when that version is known with other prices."""
        ...


class UploaderThread:
    """Runs an :class:`Uploader`: makes its requests, asks the ledger for it, and passes on what came of it.

    ``on_outcome`` is called from this thread, after the ledger has done its part, and must neither block nor raise.
    ``situation`` tells how the bin is and what time it believes it is, when a request is made. ``session`` carries
    TLS settings.
    """

    def __init__(
        self,
        uploader: Uploader,
        *,
        server_url: str,
        ledger: LedgerPort,
        situation: Callable[[], tuple[wire.Status, Stamp]],
        on_outcome: Callable[[Outcome], None],
        session: requests.Session,
    ) -> None:
        self._uploader = uploader
        self._server_url = server_url
        self._ledger = ledger
        self._situation = situation
        self._on_outcome = on_outcome
        self._session = session
        self._outcomes: deque[Outcome] = deque()
        self._stopping = False
        self._poked = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)

    def start(self) -> None:
        """Begin to call the server."""
        self._thread.start()

    def poke(self) -> None:
        """There are new records. From any thread."""
        with self._wake:
            self._poked = True
            self._wake.notify()

    def close(self, timeout_s: float) -> bool:
        """Stop; a request on its way is left to its fate, its records stay pending. True when the thread has ended."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._session.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            with self._wake:
                if self._poked:
                    self._poked = False
                    self._uploader.poke()
            try:
                self._step()
            except LedgerError:
                # What could not be asked or applied is tried again; until then nothing more is sent.
                self._sleep(LEDGER_RETRY_S)
            except Exception as error:
                self._on_outcome(
                    Alarm(code="uploader_crashed", text=f"programming error: {error!r}; restart the daemon")
                )
                raise

    def _step(self) -> None:
        if self._outcomes:
            self._do_first()
            return
        now_ms = _now_ms()
        match self._uploader.next(now_ms):
            case Wait(until_ms=until_ms):
                self._sleep(max(until_ms - now_ms, 0) / 1_000)
            case AskBatch(records_max=records_max, bytes_max=bytes_max):
                batch = self._ledger.batch(records_max, bytes_max)
                status, stamp = self._situation()
                self._uploader.batch(batch, status, stamp, _now_ms())
            case AskHash(generation=generation, seq=seq):
                own = self._ledger.hash_at(generation, seq)
                self._outcomes.extend(self._uploader.own_hash(own, _now_ms()))
            case Send() as send:
                self._outcomes.extend(self._exchange(send))

    def _do_first(self) -> None:
        outcome: Outcome = self._outcomes[0]
        match outcome:
            case Apply():
                self._ledger.apply(outcome)
            case Forked(generation=generation):
                self._ledger.begin_generation(generation)
            case TariffIssued(tariff=tariff):
                if not self._ledger.store_tariff(tariff):
                    text = f"the server gives tariff {tariff.version} another meaning than before; it is not used"
                    outcome = Alarm(code="tariff_conflict", text=text)
            case _:
                pass
        self._outcomes.popleft()
        self._on_outcome(outcome)

    def _exchange(self, send: Send) -> list[Outcome]:
        """One request and its answer; whatever becomes of it, nothing is in flight afterwards."""
        deadline_ms = _now_ms() + ANSWER_MS_MAX
        try:
            with self._session.request(
                send.method,
                self._server_url + send.path,
                data=send.body,
                headers=send.headers,
                timeout=(CONNECT_S_MAX, READ_S_MAX),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = bytearray()
                for chunk in response.iter_content(CHUNK_BYTES):
                    body += chunk
                    if len(body) > wire.ANSWER_BYTES_MAX:
                        return self._uploader.failed("the server's answer is too long", _now_ms())
                    if _now_ms() > deadline_ms:
                        return self._uploader.failed("the server's answer takes too long", _now_ms())
                outcomes = self._uploader.answered(response.status_code, response.headers, bytes(body), _now_ms())
        except (requests.RequestException, OSError) as error:
            # The class only: the text holds addresses of objects, and a reason must stay the same to be said once.
            return self._uploader.failed(f"the server was not reached ({type(error).__name__})", _now_ms())
        if self._uploader.in_flight:
            outcomes += self._uploader.failed("something answers that is not the server", _now_ms())
        return outcomes

    def _sleep(self, seconds: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._stopping or self._poked, timeout=seconds)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
