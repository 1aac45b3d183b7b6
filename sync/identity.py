"""Who a bin is: its key, the server that it trusts, the programme's card secret; and how it came by them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import random
from dataclasses import dataclass
from pathlib import Path

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from sync import wire

SCRYPT_N = 2**14
SCRYPT_R = 8
SCRYPT_P = 1
"""About 50 ms on a Pi 4 and 16 MiB: a 32-bit card number is too short a secret for a fast hash."""
SCRYPT_MEMORY_BYTES = 64 << 20
ENROL_S_MAX = 30


class IdentityError(ValueError):
    """The bin has no usable identity; the message says what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An enrolled bin. ``private_key`` never leaves the machine; ``server_public_key`` is pinned at enrolment."""

    bin_id: str
    private_key: Ed25519PrivateKey
    server_url: str
    server_public_key: Ed25519PublicKey
    programme_key_id: str
    programme_key: bytes
    programme_salt: bytes


class _IdentityFile(Struct, frozen=True, kw_only=True):
    """The file's JSON. Everything but the key is null until the enrolment has been answered."""

    private_key: str
    server_url: str
    bin_id: str | None = None
    server_public_key: str | None = None
    programme_key_id: str | None = None
    programme_key: str | None = None
    programme_salt: str | None = None


def card_ref(identity: Identity, *, scheme: str, uid_hex: str) -> str:
    """The pseudonym of a card: key id and HMAC-SHA256(programme key, scrypt(scheme:uid, programme salt)) in hex.

    ``uid_hex`` is canonical: upper case, no separators. Slow on purpose, see :data:`SCRYPT_N`.
    """
    stretched = hashlib.scrypt(
        f"{scheme}:{uid_hex}".encode(),
        salt=identity.programme_salt,
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=SCRYPT_MEMORY_BYTES,
        dklen=32,
    )
    digest = hmac.new(identity.programme_key, stretched, hashlib.sha256).hexdigest()
    return f"{identity.programme_key_id}:{digest}"


def load(path: Path) -> Identity:
    """Read an enrolled bin's identity. Raises :class:`IdentityError` when it is missing, unfinished or damaged."""
    stored = _read(path)
    if stored is None:
        raise IdentityError(f"{path}: this bin is not enrolled; enrol it with a code from the server's operator")
    return _identity(stored, path)


def save(path: Path, identity: Identity) -> None:
    """Write an identity durably, readable by its owner only."""
    _write(
        path,
        _IdentityFile(
            private_key=base64.b64encode(identity.private_key.private_bytes_raw()).decode(),
            server_url=identity.server_url,
            bin_id=identity.bin_id,
            server_public_key=wire.public_key_text(identity.server_public_key),
            programme_key_id=identity.programme_key_id,
            programme_key=base64.b64encode(identity.programme_key).decode(),
            programme_salt=base64.b64encode(identity.programme_salt).decode(),
        ),
    )


def enrol(path: Path, *, url: str, code: str, session: requests.Session, rng: random.Random) -> Identity:
    """Make a key, have the server accept it for a one-time code, and keep what it answers at ``path``.

    The key is durable before it is sent, so that whatever is lost on the way, the same call is simply made again.
    Raises :class:`IdentityError` when the server refuses, :class:`requests.RequestException` (an ``OSError``) when it
    was not reached, :class:`~sync.wire.WireError` for an answer that makes no sense.
    """
    url = url.rstrip("/")
    stored = _read(path)
    if stored is None or (stored.bin_id is None and stored.server_url != url):
        stored = _IdentityFile(private_key=base64.b64encode(rng.randbytes(32)).decode(), server_url=url)
        _write(path, stored)
    elif stored.bin_id is not None:
        raise IdentityError(f"{path}: already enrolled as {stored.bin_id} at {stored.server_url}; move it away first")
    private_key = _private_key(stored, path)
    headers, body, nonce = enrol_request(private_key, code=code, rng=rng)
    response = session.post(
        url + wire.ENROL_PATH, data=body, headers=headers, timeout=ENROL_S_MAX, allow_redirects=False
    )
    answer = read_enrol_answer(
        response.status_code, response.headers.get(wire.SIGNATURE_HEADER, ""), response.content, nonce
    )
    identity = Identity(
        bin_id=answer.bin_id,
        private_key=private_key,
        server_url=url,
        server_public_key=wire.public_key_from(answer.server_public_key),
        programme_key_id=answer.programme_key_id,
        programme_key=wire.from_base64(answer.programme_key),
        programme_salt=wire.from_base64(answer.programme_salt),
    )
    save(path, identity)
    return identity


def enrol_request(
    private_key: Ed25519PrivateKey, *, code: str, rng: random.Random
) -> tuple[dict[str, str], bytes, str]:
    """Headers, body and nonce of an enrolment, signed by the key that asks."""
    nonce = rng.randbytes(16).hex()
    request = wire.EnrolRequest(
        nonce=nonce, code=code.strip(), public_key=wire.public_key_text(private_key.public_key())
    )
    body = wire.pack(wire.encode(request))
    signature = wire.sign(private_key, wire.request_signing_input("POST", wire.ENROL_PATH, body, ""))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", wire.SIGNATURE_HEADER: signature}
    return headers, body, nonce


def read_enrol_answer(status: int, signature: str, body: bytes, nonce: str) -> wire.EnrolAnswer:
    """What the server said. Raises :class:`IdentityError` for a refusal, :class:`~sync.wire.WireError` for nonsense."""
    if status != 200:
        reason = body[:200].decode(errors="replace")
        with contextlib.suppress(wire.WireError):
            reason = wire.decode(body, wire.Refused).error
        raise IdentityError(f"the server refuses the enrolment (HTTP {status}): {reason}")
    answer = wire.decode(body, wire.EnrolAnswer)
    key = wire.public_key_from(answer.server_public_key)
    if answer.nonce != nonce or not wire.verified(key, signature, wire.answer_signing_input(status, nonce, body)):
        raise wire.WireError("the enrolment's answer is not signed for this request by the key that it carries")
    return answer


def _read(path: Path) -> _IdentityFile | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=_IdentityFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IdentityError(f"{path}: damaged ({error}); put a copy back, or move it away and enrol again") from error


def _identity(stored: _IdentityFile, path: Path) -> Identity:
    if (
        stored.bin_id is None
        or stored.server_public_key is None
        or stored.programme_key_id is None
        or stored.programme_key is None
        or stored.programme_salt is None
    ):
        raise IdentityError(f"{path}: the enrolment at {stored.server_url} was begun and not finished; enrol again")
    try:
        return Identity(
            bin_id=stored.bin_id,
            private_key=_private_key(stored, path),
            server_url=stored.server_url,
            server_public_key=wire.public_key_from(stored.server_public_key),
            programme_key_id=stored.programme_key_id,
            programme_key=wire.from_base64(stored.programme_key),
            programme_salt=wire.from_base64(stored.programme_salt),
        )
    except wire.WireError as error:
        raise IdentityError(f"{path}: damaged ({error}); put a copy back, or move it away and enrol again") from error


def _private_key(stored: _IdentityFile, path: Path) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(wire.from_base64(stored.private_key))
    except ValueError as error:
        raise IdentityError(f"{path}: its private key is damaged; move it away and enrol again") from error


def _write(path: Path, stored: _IdentityFile) -> None:
    """Replace the file as a whole, flushed: half a key after a power cut would be a bin without a name."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(msgspec.json.format(msgspec.json.encode(stored)))
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
