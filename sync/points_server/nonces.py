"""Nonces that bins sign over: proof that a request is new. No device's time is trusted for that.

A nonce carries its time of issue, the bin it is for and an HMAC, so that handing one out to whoever asks writes
nothing. Only a nonce that came back under the bin's signature is written down, as spent.
"""

from __future__ import annotations

import hashlib
import hmac
import random

from sqlalchemy import Connection, delete, insert, select

from sync.points_server import schema

NONCE_MS_MAX = 3_600_000
"""A bin that was away for longer gets a 401 with a fresh one and asks again at once."""


def issue(key: bytes, bin_id: str, rng: random.Random, now_ms: int) -> str:
    """``time-random-hmac`` in hex."""
    stem = f"{now_ms:x}-{rng.randbytes(16).hex()}"
    return f"{stem}-{_seal(key, bin_id, stem)}"


def is_fresh(key: bytes, bin_id: str, nonce: str, now_ms: int) -> bool:
    """Whether we issued it to this bin, not long ago. Whether it was spent is for :func:`spend`."""
    stem, _, seal = nonce.rpartition("-")
    if not hmac.compare_digest(seal.encode(), _seal(key, bin_id, stem).encode()):
        return False
    return now_ms - NONCE_MS_MAX <= _issued_ms(stem) <= now_ms


def spend(db: Connection, nonce: str, now_ms: int) -> bool:
    """Use it up; False when it was used before."""
    if db.execute(select(schema.nonces.c.nonce).where(schema.nonces.c.nonce == nonce)).first():
        return False
    db.execute(delete(schema.nonces).where(schema.nonces.c.expires_ms < now_ms))
    db.execute(insert(schema.nonces).values(nonce=nonce, expires_ms=_issued_ms(nonce) + NONCE_MS_MAX))
    return True


def _issued_ms(nonce: str) -> int:
    return int(nonce.partition("-")[0], 16)


def _seal(key: bytes, bin_id: str, stem: str) -> str:
    return hmac.new(key, f"{bin_id}\n{stem}".encode(errors="replace"), hashlib.sha256).hexdigest()[:32]
