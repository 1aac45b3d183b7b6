"""What to send to the points server, what its answer means, and when to try again. Sans-IO: no clock, socket or thread.

Whoever drives it asks :meth:`Uploader.next` what to do, does that, and reports back. Time is the caller's monotonic
clock in milliseconds. Nothing here is remembered across restarts: the ledger's cursor is all that must be.

What an answer may do (design, "The sync endpoint"):

- An acknowledgement counts only if it is signed by the server over the nonce of the request in flight, names a place
  that this request sent or an earlier one, and carries our own hash of that place. Otherwise: alarm, cursor unmoved.
- A valid one moves the cursor down as well as up: a server restored from a backup gets again what it lost.
- A tariff that makes no sense is an alarm and is not used; the acknowledgement that came with it counts.
- Only a signed verdict holds a record; transport errors, 4xx and 5xx never do. Retries never end.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from sync import wire
from sync.exchange import Apply, Batch, Hold, Release
from sync.identity import Identity
from sync.records import Stamp
from sync.retry_after import retry_after_ms
from sync.upload_steps import (
    Alarm,
    AskBatch,
    AskHash,
    Command,
    Forked,
    Offline,
    Online,
    Outcome,
    Send,
    ServerTime,
    TariffIssued,
    Wait,
)
from sync.wire import header_of

RECORDS_MAX = 500
"""Records in one request: about 60 KiB packed, seconds on a slow mobile link."""
BYTES_MAX = 512 << 10
"""Bodies in one request; whatever they hold, they stay below what the server takes, packed and unpacked."""
BACK_OFF_MS_MIN = 1_000
BACK_OFF_MS_MAX = 300_000
"""A server that comes back is noticed within five minutes, and a thousand bins make some seven calls a second."""
NEXT_CALL_MS_MIN = 1_000
NEXT_CALL_MS_MAX = 3_600_000
ANSWER_MS_MAX = 60_000
"""A request is given up after this, and an answer to it that comes later is foreign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """Next to do: ask for a batch at that time. ``hurried``: new records may bring it forward."""

    at_ms: int
    hurried: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    flight: _Flight


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    nonce: str
    batch: Batch
    status: wire.Status
    body: bytes
    sent_ms: int

    @property
    def limit(self) -> tuple[str, int]:
        """The last place that this request covers: its last record, or the head when all was acknowledged."""
        last = self.batch.records[-1] if self.batch.records else self.batch.head
        return last.generation, last.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubting:
    """A signed answer whose acknowledgement waits for our own hash of a place that the request did not carry."""

    flight: _Flight
    answer: wire.SyncAnswer


class Uploader:
    """Steps through one request at a time; see the module's text.

    ``rng`` gives request nonces and jitter: :class:`random.SystemRandom` in earnest, a seeded one in simulations.
    """

    def __init__(self, *, identity: Identity, rng: random.Random) -> None:
        self._identity = identity
        self._rng = rng
        self._state: _Due | AskBatch | _Prepared | _Flight | _Doubting = _Due(at_ms=0, hurried=True)
        self._poked = False
        self._server_nonce = ""
        self._attempts = 0
        self._nonce_is_fresh = False
        """The nonce comes from a 401 just now; another 401 is then not about its age."""
        self._records_max = RECORDS_MAX
        self._disbelieved: wire.WireHead | None = None
        self._alarmed: set[str] = set()
        self._trouble: str | None = ""
        """Null while online; empty before the first answer."""

    @property
    def in_flight(self) -> bool:
        """Whether a request waits for its answer."""
        return isinstance(self._state, _Flight)

    def poke(self) -> None:
        """There are new records: call soon, but do not cut a back-off short."""
        self._poked = True

    def next(self, now_ms: int) -> Command:
        """What to do now; asked again after each report.

        While a request is in flight: wait for its answer until then, afterwards report :meth:`failed`.
        """
        match self._state:
            case _Due(at_ms=at_ms, hurried=hurried):
                if now_ms < at_ms and not (self._poked and hurried):
                    return Wait(until_ms=at_ms)
                self._poked = False
                self._state = AskBatch(records_max=self._records_max, bytes_max=BYTES_MAX)
                return self._state
            case AskBatch():
                return self._state
            case _Prepared(flight=flight):
                self._state = flight
                return self._request(flight)
            case _Flight(sent_ms=sent_ms):
                return Wait(until_ms=sent_ms + ANSWER_MS_MAX)
            case _Doubting(answer=answer):
                return AskHash(generation=answer.ack.generation, seq=answer.ack.acked_seq)
            case _:
                assert_never(self._state)

    def batch(self, batch: Batch, status: wire.Status, stamp: Stamp, now_ms: int) -> None:
        """The ledger's answer to :class:`AskBatch`, with how the bin is and what time it believes it is."""
        assert isinstance(self._state, AskBatch), "a batch that was not asked for"
        nonce = self._rng.randbytes(16).hex()
        request = wire.SyncRequest(
            nonce=nonce,
            stamp=stamp,
            status=status,
            head=wire.to_wire_head(batch.head),
            generations=list(batch.generations),
            records=[wire.to_wire(record) for record in batch.records],
            held=[wire.to_wire_head(held) for held in batch.held],
            disbelieved=self._disbelieved,
        )
        body = wire.pack(wire.encode(request))
        self._state = _Prepared(flight=_Flight(nonce=nonce, batch=batch, status=status, body=body, sent_ms=now_ms))

    def answered(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> list[Outcome]:
        """An HTTP answer came. One that is not for the request in flight changes nothing, see :attr:`in_flight`.

        Do what the outcomes say, in their order and before asking :meth:`next`.
        """
        if not isinstance(self._state, _Flight):
            return []
        flight = self._state
        digest = wire.answer_signing_input(status, flight.nonce, body)
        authentic = wire.verified(self._identity.server_public_key, header_of(headers, wire.SIGNATURE_HEADER), digest)
        if status == 200:
            if not authentic:
                return self._alarm("foreign_answer", "an answer is not signed by the pinned server for this request")
            return self._read(flight, body, now_ms)
        wait_ms = retry_after_ms(headers)
        trouble = f"the server answers HTTP {status}"
        if status == 401:
            return self._unauthorised_by(body if authentic else b"", trouble, wait_ms, now_ms)
        self._nonce_is_fresh = False
        outcomes = self._troubled(trouble, now_ms, wait_ms)
        if 400 <= status < 500 and status not in (408, 425, 429):
            outcomes += self._alarm(f"http_{status}", f"{trouble}: {_excerpt(body)}")
        if status == 413:
            self._records_max = max(1, self._records_max // 2)
        return outcomes

    def failed(self, reason: str, now_ms: int) -> list[Outcome]:
        """The request in flight got no answer, or none of its own: no route, TLS, time-out, cut off."""
        assert isinstance(self._state, _Flight), "nothing is in flight"
        self._nonce_is_fresh = False
        return self._troubled(reason, now_ms)

    def own_hash(self, own: bytes | None, now_ms: int) -> list[Outcome]:
        """The ledger's answer to :class:`AskHash`, null when it has no such record."""
        assert isinstance(self._state, _Doubting), "a hash that was not asked for"
        return self._compared(self._state.flight, self._state.answer, own, now_ms)

    # --- judging an answer that the server signed for this request --------------------------------------------------

    def _read(self, flight: _Flight, body: bytes, now_ms: int) -> list[Outcome]:
        try:
            answer = wire.decode(body, wire.SyncAnswer)
        except wire.WireError as error:
            return self._disbelieve("bad_answer", f"the server's answer cannot be read: {error}", now_ms)
        if answer.nonce != flight.nonce:
            return self._disbelieve("bad_answer", "the server's answer repeats another nonce", now_ms)
        self._server_nonce = answer.next_nonce
        self._nonce_is_fresh = False
        ack = answer.ack
        if not _covers(flight, ack.generation, ack.acked_seq):
            return self._disbelieve(
                "ack_beyond",
                f"the server acknowledges {ack.generation}/{ack.acked_seq}, which this request did not cover",
                now_ms,
            )
        for record in flight.batch.records:
            if (record.generation, record.seq) == (ack.generation, ack.acked_seq):
                return self._compared(flight, answer, record.hash, now_ms)
        self._state = _Doubting(flight=flight, answer=answer)
        return []

    def _compared(self, flight: _Flight, answer: wire.SyncAnswer, own: bytes | None, now_ms: int) -> list[Outcome]:
        ack = answer.ack
        acked_hash = bytes.fromhex(ack.acked_hash)
        if own != acked_hash:
            self._disbelieved = wire.WireHead(generation=ack.generation, seq=ack.acked_seq, hash=ack.acked_hash)
            return self._disbelieve(
                "ack_hash",
                f"the server's hash of {ack.generation}/{ack.acked_seq} is not ours; no record of it is lost here, "
                "an operator must compare ledger and server",
                now_ms,
            )
        return self._believe(flight, answer, acked_hash, now_ms)

    def _believe(self, flight: _Flight, answer: wire.SyncAnswer, acked_hash: bytes, now_ms: int) -> list[Outcome]:
        ack, batch = answer.ack, flight.batch
        self._disbelieved = None
        self._alarmed.clear()
        verdicts = [verdict for verdict in answer.verdicts if _covers(flight, verdict.generation, verdict.seq)]
        outcomes: list[Outcome] = [
            Apply(
                generation=ack.generation,
                seq=ack.acked_seq,
                hash=acked_hash,
                held=tuple(
                    Hold(generation=verdict.generation, seq=verdict.seq, code=verdict.code, text=verdict.text)
                    for verdict in verdicts
                    if verdict.verdict == "held"
                ),
                released=tuple(
                    Release(generation=verdict.generation, seq=verdict.seq)
                    for verdict in verdicts
                    if verdict.verdict == "released"
                ),
            ),
            ServerTime(wall_ms=answer.server_time_ms),
        ]
        if len(verdicts) < len(answer.verdicts):
            outcomes += self._alarm("verdict_beyond", "the server judges a record that this request did not cover")
        try:
            tariff = wire.tariff_of(answer)
        except wire.WireError as error:
            tariff = None
            outcomes += self._alarm("bad_tariff", f"the server gives a tariff that cannot be used: {error}")
        if tariff and tariff.version != flight.status.tariff_version:
            outcomes.append(TariffIssued(tariff=tariff))
        if answer.fork and batch.head.generation == flight.limit[0]:
            outcomes.append(Forked(generation=batch.head.generation))
            self._poked = True
        if self._trouble is not None:
            self._trouble = None
            outcomes.append(Online())
        self._state = self._due_after(flight, answer, now_ms)
        return outcomes

    def _due_after(self, flight: _Flight, answer: wire.SyncAnswer, now_ms: int) -> _Due:
        acked, head = (answer.ack.generation, answer.ack.acked_seq), flight.batch.head
        if acked == (head.generation, head.seq):
            self._attempts = 0
            next_call_ms = min(max(answer.next_call_ms, NEXT_CALL_MS_MIN), NEXT_CALL_MS_MAX)
            return _Due(at_ms=now_ms + next_call_ms, hurried=True)
        if any((record.generation, record.seq) == acked for record in flight.batch.records):
            self._attempts = 0
            return _Due(at_ms=now_ms, hurried=True)
        # Nothing that was sent was taken. Usually once, by a restored server; but two sides that misunderstand each
        # other must not turn this into a loop at full speed.
        return _Due(at_ms=now_ms + self._back_off_ms(), hurried=False)

    # --- trouble ----------------------------------------------------------------------------------------------------

    def _unauthorised_by(self, body: bytes, trouble: str, wait_ms: int, now_ms: int) -> list[Outcome]:
        """A 401: with a nonce that the server signed it is retried at once, but only once in a row."""
        fresh = _next_nonce(body)
        retried = self._nonce_is_fresh
        self._nonce_is_fresh = fresh is not None
        if fresh is not None:
            self._server_nonce = fresh
            if not retried:
                self._state = _Due(at_ms=now_ms, hurried=True)
                return []
        text = "the server does not accept this bin's signature; enrol it again, or look at the server's alarms"
        return [*self._troubled(trouble, now_ms, wait_ms), *self._alarm("http_401", text)]

    def _disbelieve(self, code: str, text: str, now_ms: int) -> list[Outcome]:
        return [*self._troubled(text, now_ms), *self._alarm(code, text)]

    def _troubled(self, trouble: str, now_ms: int, wait_ms: int = 0) -> list[Outcome]:
        self._state = _Due(at_ms=now_ms + max(self._back_off_ms(), wait_ms), hurried=False)
        if trouble == self._trouble:
            return []
        self._trouble = trouble
        return [Offline(trouble=trouble)]

    def _alarm(self, code: str, text: str) -> list[Outcome]:
        if code in self._alarmed:
            return []
        self._alarmed.add(code)
        return [Alarm(code=code, text=text)]

    def _back_off_ms(self) -> int:
        """Exponential with full jitter: anything from nothing to twice as much as last time."""
        ceiling_ms = min(BACK_OFF_MS_MAX, BACK_OFF_MS_MIN << min(self._attempts, 30))
        self._attempts += 1
        return self._rng.randint(0, ceiling_ms)

    def _request(self, flight: _Flight) -> Send:
        path = wire.sync_path(self._identity.bin_id)
        digest = wire.request_signing_input("POST", path, flight.body, self._server_nonce)
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            wire.SERVER_NONCE_HEADER: self._server_nonce,
            wire.SIGNATURE_HEADER: wire.sign(self._identity.private_key, digest),
        }
        return Send(method="POST", path=path, headers=headers, body=flight.body)


def _covers(flight: _Flight, generation: str, seq: int) -> bool:
    """Whether a place is within what the request sent, or before it."""
    generations = flight.batch.generations
    limit_generation, limit_seq = flight.limit
    if generation == limit_generation:
        return seq <= limit_seq
    return generation in generations[: generations.index(limit_generation)]


def _next_nonce(body: bytes) -> str | None:
    try:
        return wire.decode(body, wire.Refused).next_nonce
    except wire.WireError:
        return None


def _excerpt(body: bytes) -> str:
    return body[:200].decode(errors="replace")
