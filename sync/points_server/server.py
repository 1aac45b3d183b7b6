"""The points server: what a bin's request does, from bytes to bytes. Sockets are somebody else's (see ``app.py``)."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import OperationalError

from sync import wire
from sync.points_server import intake, nonces, operator, schema, tariffs
from sync.points_server.database import open_database
from sync.points_server.tariffs import DEFAULT_TARIFF
from sync.records import Record, Tariff
from sync.wire import WireError, header_of

NEXT_CALL_MS = 60_000
"""How soon a bin with nothing to say calls again."""
BUSY_RETRY_S = 5

_SYNC_PATH = re.compile(r"/v1/bins/([A-Za-z0-9._-]{1,64})/sync")
_BIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class PointsServer:
    """One database and its keys. Every method is safe to call from any thread; calls take turns.

    ``rng`` gives keys, codes and nonces: :class:`random.SystemRandom` in earnest, a seeded one in simulations. Time
    is the caller's, Unix milliseconds.
    """

    def __init__(
        self,
        database_url: str,
        *,
        rng: random.Random,
        tariff: Tariff = DEFAULT_TARIFF,
        next_call_ms: int = NEXT_CALL_MS,
    ) -> None:
        """Open or create the database. ``tariff`` is only for a new one."""
        self._rng = rng
        self._next_call_ms = next_call_ms
        self._lock = threading.Lock()
        self._engine = open_database(database_url)
        with self._engine.begin() as db:
            row = db.execute(select(schema.server)).first()
            if row is None:
                db.execute(insert(schema.server).values(only_row=1, **_new_secrets(rng)))
                tariffs.add(db, tariff)
                row = db.execute(select(schema.server)).one()
        self._key = Ed25519PrivateKey.from_private_bytes(row.signing_key)
        self._nonce_key: bytes = row.nonce_key
        self._programme = row

    @property
    def public_key(self) -> Ed25519PublicKey:
        """What bins pin at enrolment."""
        return self._key.public_key()

    def close(self) -> None:
        """Let go of the database; on SQLite this also empties the write-ahead log."""
        with self._lock:
            self._engine.dispose()

    # --- what bins ask ----------------------------------------------------------------------------------------------

    def handle_sync(self, path: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Reply:
        """``POST /v1/bins/{bin_id}/sync``. ``body`` as sent; everything acknowledged is durable on return."""
        match = _SYNC_PATH.fullmatch(path)
        if not match:
            return _unsigned(404, "there is nothing here")
        bin_id = match[1]
        try:
            request = wire.decode(_unpacked(headers, body), wire.SyncRequest)
        except WireError as error:
            return _unsigned(error.status, str(error))
        nonce = header_of(headers, wire.SERVER_NONCE_HEADER)
        try:
            with self._lock, self._engine.begin() as db:
                if not self._is_authentic(db, bin_id, path, headers, body, nonce, now_ms):
                    return self._unauthorised(request.nonce, bin_id, now_ms)
                try:
                    batch = _batch(request)
                except WireError as error:
                    return self._signed(error.status, request.nonce, wire.Refused(error=str(error)))
                if not nonces.spend(db, nonce, now_ms):
                    return self._unauthorised(request.nonce, bin_id, now_ms)
                answer = self._synced(db, bin_id, request, batch, now_ms)
        except OperationalError as error:
            return _unsigned(503, f"the database does not work now: {error.orig}", retry_after=BUSY_RETRY_S)
        return self._signed(200, request.nonce, answer)

    def handle_enrol(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Reply:
        """``POST /v1/enrol``: a code and a key become a bin, as often as asked, until that bin has synced once."""
        try:
            request = wire.decode(_unpacked(headers, body), wire.EnrolRequest)
            key = wire.public_key_from(request.public_key)
        except WireError as error:
            return _unsigned(error.status, str(error))
        digest = wire.request_signing_input("POST", wire.ENROL_PATH, body, "")
        if not wire.verified(key, header_of(headers, wire.SIGNATURE_HEADER), digest):
            return _unsigned(401, "not signed by the key that is to be enrolled")
        try:
            with self._lock, self._engine.begin() as db:
                bin_id = _enrolled(db, request)
        except OperationalError as error:
            return _unsigned(503, f"the database does not work now: {error.orig}", retry_after=BUSY_RETRY_S)
        if bin_id is None:
            return self._signed(403, request.nonce, wire.Refused(error="this code is unknown or used up"))
        answer = wire.EnrolAnswer(
            nonce=request.nonce,
            bin_id=bin_id,
            server_public_key=wire.public_key_text(self.public_key),
            programme_key_id=self._programme.programme_key_id,
            programme_key=base64.b64encode(self._programme.programme_key).decode(),
            programme_salt=base64.b64encode(self._programme.programme_salt).decode(),
        )
        return self._signed(200, request.nonce, answer)

    def _synced(
        self, db: Connection, bin_id: str, request: wire.SyncRequest, batch: Sequence[Record], now_ms: int
    ) -> wire.SyncAnswer:
        tariff = tariffs.current(db)
        if tariff.version not in tariffs.issued_to(db, bin_id):
            tariffs.issue(db, bin_id, tariff.version, now_ms)
            intake.judge_again(db, bin_id, tariff.version, now_ms)
        taken = intake.take_in(db, bin_id, request, batch, now_ms)
        if taken.fork:
            taken.alarms.append(("fork", f"two histories of {request.head.generation}; both are kept"))
        if request.disbelieved:
            place = f"{request.disbelieved.generation}/{request.disbelieved.seq}"
            taken.alarms.append(("ack_disbelieved", f"the bin has another record at {place}"))
        for code, text in taken.alarms:
            operator.raise_alarm(db, bin_id, code, text, now_ms)
        told = {(verdict.generation, verdict.seq) for verdict in taken.verdicts}
        ended = [
            verdict
            for verdict in intake.released(db, bin_id, request.held)
            if (verdict.generation, verdict.seq) not in told
        ]
        status = msgspec.json.encode(request.status)
        db.execute(update(schema.bins).where(schema.bins.c.bin_id == bin_id).values(seen_ms=now_ms, status=status))
        db.execute(
            update(schema.bins)
            .where(schema.bins.c.bin_id == bin_id, schema.bins.c.synced_ms.is_(None))
            .values(synced_ms=now_ms)
        )
        return wire.SyncAnswer(
            nonce=request.nonce,
            next_nonce=nonces.issue(self._nonce_key, bin_id, self._rng, now_ms),
            ack=taken.ack,
            verdicts=[*taken.verdicts, *ended],
            fork=taken.fork,
            tariff=tariff if request.status.tariff_version != tariff.version else None,
            server_time_ms=now_ms,
            next_call_ms=self._next_call_ms,
        )

    def _is_authentic(
        self, db: Connection, bin_id: str, path: str, headers: Mapping[str, str], body: bytes, nonce: str, now_ms: int
    ) -> bool:
        key = db.execute(select(schema.bins.c.public_key).where(schema.bins.c.bin_id == bin_id)).scalar()
        signature = header_of(headers, wire.SIGNATURE_HEADER)
        return (
            key is not None
            and wire.verified(
                wire.public_key_from(key), signature, wire.request_signing_input("POST", path, body, nonce)
            )
            and nonces.is_fresh(self._nonce_key, bin_id, nonce, now_ms)
        )

    def _unauthorised(self, request_nonce: str, bin_id: str, now_ms: int) -> Reply:
        fresh = nonces.issue(self._nonce_key, bin_id, self._rng, now_ms)
        return self._signed(
            401, request_nonce, wire.Refused(error="not signed by this bin over a fresh nonce", next_nonce=fresh)
        )

    def _signed(
        self, status: int, request_nonce: str, answer: wire.SyncAnswer | wire.EnrolAnswer | wire.Refused
    ) -> Reply:
        body = wire.encode(answer)
        signature = wire.sign(self._key, wire.answer_signing_input(status, request_nonce, body))
        return Reply(status, {"Content-Type": "application/json", wire.SIGNATURE_HEADER: signature}, body)

    # --- what operators ask -----------------------------------------------------------------------------------------

    def add_bin(self, bin_id: str) -> str:
        """Make a bin known and return its one-time enrolment code. Raises :class:`ValueError`.

        Asked again before the bin has synced, the old code and whatever key it enrolled are void.
        """
        if not _BIN_ID.fullmatch(bin_id):
            raise ValueError(f"{bin_id!r}: a bin is named by up to 64 letters, digits, dots, dashes and underscores")
        code = "-".join(self._rng.randbytes(2).hex() for _ in range(5))
        with self._lock, self._engine.begin() as db:
            row = db.execute(select(schema.bins).where(schema.bins.c.bin_id == bin_id)).first()
            if row is None:
                db.execute(insert(schema.bins).values(bin_id=bin_id))
            elif row.synced_ms is not None:
                raise ValueError(f"bin {bin_id} is enrolled and has synced")
            operator.replace_code(db, bin_id, _code_digest(code))
        return code

    def add_tariff(self, tariff: Tariff) -> None:
        """Make a version known, which every bin is given when it next calls. Raises :class:`ValueError`."""
        with self._lock, self._engine.begin() as db:
            tariffs.add(db, tariff)

    def release(self, bin_id: str, generation: str, seq: int, now_ms: int, branch: str = schema.MAIN) -> None:
        """Pay a held deposit what its resident was shown. Raises :class:`ValueError` when that cannot be done."""
        with self._lock, self._engine.begin() as db:
            operator.release(db, bin_id, generation, seq, branch, now_ms)

    def journal(self) -> list[operator.JournalLine]:
        """Every line ever posted, oldest first; the points of all lines together are 0."""
        with self._lock, self._engine.begin() as db:
            return operator.journal(db)

    def overview(self, limit: int) -> dict[str, Any]:
        """The newest records and journal lines, totals and alarms, as JSON takes them."""
        with self._lock, self._engine.begin() as db:
            return operator.overview(db, limit)


def _unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    if header_of(headers, "content-encoding").lower() != "gzip":
        raise WireError("the body must be packed with gzip (Content-Encoding: gzip)", 415)
    return wire.unpack(body)


def _batch(request: wire.SyncRequest) -> list[Record]:
    batch = [wire.from_wire(record) for record in request.records]
    for expected, record in enumerate(batch, start=batch[0].seq if batch else 0):
        if (record.generation, record.seq) != (batch[0].generation, expected):
            raise WireError("the records of one request are of one generation and without a gap")
    return batch


def _enrolled(db: Connection, request: wire.EnrolRequest) -> str | None:
    """The bin that this code and key stand for, null when they do not, or not any more."""
    codes, bins = schema.enrolment_codes, schema.bins
    row = db.execute(
        select(codes.c.bin_id, codes.c.public_key, bins.c.synced_ms)
        .join(bins, bins.c.bin_id == codes.c.bin_id)
        .where(codes.c.code_sha256 == _code_digest(request.code))
    ).first()
    if row is None or row.synced_ms is not None or row.public_key not in (None, request.public_key):
        return None
    bin_id: str = row.bin_id
    if row.public_key is None:
        if db.execute(select(bins.c.bin_id).where(bins.c.public_key == request.public_key)).first():
            return None
        db.execute(update(codes).where(codes.c.bin_id == bin_id).values(public_key=request.public_key))
        db.execute(update(bins).where(bins.c.bin_id == bin_id).values(public_key=request.public_key))
    return bin_id


def _code_digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _new_secrets(rng: random.Random) -> dict[str, Any]:
    return {
        "signing_key": rng.randbytes(32),
        "nonce_key": rng.randbytes(32),
        "programme_key_id": rng.randbytes(4).hex(),
        "programme_key": rng.randbytes(32),
        "programme_salt": rng.randbytes(16),
    }


def _unsigned(status: int, error: str, retry_after: int | None = None) -> Reply:
    headers = {"Content-Type": "application/json"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Reply(status, headers, wire.encode(wire.Refused(error=error)))
