"""Request and answer of the sync endpoint: shapes, bytes, signatures. Pure.

The bin always calls: ``POST /v1/bins/{bin_id}/sync``, JSON packed with gzip, signed by the bin's Ed25519 key over the
method, the path, the SHA-256 of the body as sent and a nonce that the server issued. The answer is plain JSON, signed
by the server's key over the status, the nonce of the request's body and the SHA-256 of the answer's body.

Times are Unix milliseconds unless they say otherwise. Hashes are lower-case hex, keys and signatures base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from sync.exchange import HELD_MAX
from sync.records import Head, Record, Stamp, Tariff, Trust
from sync.tariff_bounds import fault_of

SERVER_NONCE_HEADER = "Kiosk-Server-Nonce"
SIGNATURE_HEADER = "Kiosk-Signature"
ENROL_PATH = "/v1/enrol"

PACKED_BYTES_MAX = 1 << 20
"""A request as sent. Common reverse proxies refuse more than 1 MiB unless told otherwise."""
PLAIN_BYTES_MAX = 8 << 20
"""The same request unpacked; what a gzip bomb is cut off at."""
ANSWER_BYTES_MAX = 4 << 20
RECORDS_MAX = 2_000
"""Records in one request; the server refuses more."""

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
UnixMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Up to the end of the year 9999, the last that calendars here know."""
Seq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
HexHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Token = Annotated[str, Meta(pattern=r"^[!-~]{1,128}\Z")]
"""A name that machines gave: printable ASCII without blanks."""
Label = Annotated[str, Meta(pattern=r"^[^\x00]{0,256}\Z")]
"""Text that is kept as it came, even of a kind that nobody here knows; NUL is what PostgreSQL refuses."""


class WireError(ValueError):
    """Bytes that are not what this protocol says; the message names what is wrong with them.

    ``status`` is the HTTP status that says so: 413 for more bytes than a request may have.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


# --- up -------------------------------------------------------------------------------------------------------------


class WireRecord(Struct, frozen=True, kw_only=True):
    """A record with its columns, its body verbatim. ``body_base64`` stands in for a body that is not UTF-8."""

    generation: Token
    seq: Seq
    kind: Label
    boot_id: Label
    mono_ms: Int64
    wall_ms: Int64 | None
    clock: Trust
    hash: HexHash
    body: str = ""
    body_base64: str | None = None


class WireHead(Struct, frozen=True, kw_only=True):
    """A place in a chain: seq 0 with 64 zeroes before the first record."""

    generation: Token
    seq: Count
    hash: HexHash


class Status(Struct, frozen=True, kw_only=True):
    """How the bin is, for the operator's eyes. Counts are deposits: accepted = acknowledged + pending + held."""

    software: str
    accepted: Count
    acknowledged: Count
    pending: Count
    held: Count
    tariff_version: Int64 | None
    """The version that the bin prices with; the server sends the current one when this differs."""


class SyncRequest(Struct, frozen=True, kw_only=True):
    """One call of the bin. ``records`` are of one generation and without a gap.

    ``generations``: all that the bin's ledger holds, oldest first; the server asks for no others.
    ``held``: what the bin keeps as held; the server names those that are so no longer.
    ``disbelieved``: an acknowledgement whose hash was not the bin's own at that place, so that the server goes further
    back instead of repeating it for ever.
    """

    nonce: Token
    stamp: Stamp
    status: Status
    head: WireHead
    generations: list[Token]
    records: Annotated[list[WireRecord], Meta(max_length=RECORDS_MAX)]
    held: Annotated[list[WireHead], Meta(max_length=HELD_MAX)]
    disbelieved: WireHead | None


# --- down -----------------------------------------------------------------------------------------------------------


class Ack(Struct, frozen=True, kw_only=True):
    """Everything up to here is durable at the server; ``acked_hash`` is the hash that it has there."""

    generation: Token
    acked_seq: Count
    acked_hash: HexHash


class Verdict(Struct, frozen=True, kw_only=True):
    """The server's word on one record. ``code`` is for machines, ``text`` for people."""

    generation: Token
    seq: Seq
    verdict: Literal["held", "released"]
    code: str
    text: str


class SyncAnswer(Struct, frozen=True, kw_only=True):
    """Answer to one request, whose nonce it repeats. ``next_nonce`` is what the next request is signed over.

    ``tariff``: a :class:`~sync.records.Tariff` or null, read apart by :func:`tariff_of`: one that makes no sense must
    not cost the acknowledgement beside it.
    """

    nonce: Token
    next_nonce: Token
    ack: Ack
    verdicts: list[Verdict]
    fork: bool
    """The server holds other records under identities of this generation: a new generation must begin."""
    tariff: Any
    server_time_ms: UnixMs
    next_call_ms: Count


class Refused(Struct, frozen=True, kw_only=True):
    """Any answer but 200. A 401 carries a fresh nonce, good for the next request if the answer is signed."""

    error: str
    next_nonce: Token | None = None


# --- enrolment ------------------------------------------------------------------------------------------------------


class EnrolRequest(Struct, frozen=True, kw_only=True):
    """Signed like a sync request, over an empty server nonce: who enrols a key must own it."""

    nonce: Token
    code: Token
    public_key: str


class EnrolAnswer(Struct, frozen=True, kw_only=True):
    """What a bin needs to know for life. Signed by the key that it carries: the bin pins it from here on."""

    nonce: Token
    bin_id: Token
    server_public_key: str
    programme_key_id: Token
    programme_key: str
    programme_salt: str


Message: TypeAlias = SyncRequest | SyncAnswer | Refused | EnrolRequest | EnrolAnswer
M = TypeVar("M", SyncRequest, SyncAnswer, Refused, EnrolRequest, EnrolAnswer)

_encoder = msgspec.json.Encoder()


def sync_path(bin_id: str) -> str:
    """The path that a bin calls, and signs."""
    return f"/v1/bins/{bin_id}/sync"


def encode(message: Message) -> bytes:
    """The JSON of a message, UTF-8."""
    return _encoder.encode(message)


def decode(data: bytes, shape: type[M]) -> M:
    """Inverse of :func:`encode`; unknown fields are ignored. Raises :class:`WireError`."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a {shape.__name__}: {error}") from error


def tariff_of(answer: SyncAnswer) -> Tariff | None:
    """The tariff that an answer gives. Raises :class:`WireError` for one that cannot be used."""
    try:
        tariff = msgspec.convert(answer.tariff, Tariff | None)
    except msgspec.ValidationError as error:
        raise WireError(f"not a Tariff: {error}") from error
    if tariff and (fault := fault_of(tariff)):
        raise WireError(fault)
    return tariff


def pack(data: bytes) -> bytes:
    """One gzip member; the same bytes for the same data (its time field is 0)."""
    packer = zlib.compressobj(level=6, wbits=31)
    return packer.compress(data) + packer.flush()


def unpack(packed: bytes) -> bytes:
    """Inverse of :func:`pack`, never more than :data:`PLAIN_BYTES_MAX`. Raises :class:`WireError`."""
    if len(packed) > PACKED_BYTES_MAX:
        raise WireError(f"{len(packed)} bytes packed, at most {PACKED_BYTES_MAX} are taken", 413)
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(packed, PLAIN_BYTES_MAX + 1)
    except zlib.error as error:
        raise WireError(f"not gzip: {error}") from error
    if len(data) > PLAIN_BYTES_MAX:
        raise WireError(f"more than {PLAIN_BYTES_MAX} bytes unpacked", 413)
    if not unpacker.eof or unpacker.unused_data:
        raise WireError("gzip ends early or has more behind its end")
    return data


def to_wire(record: Record) -> WireRecord:
    """A stored record as it is sent."""
    try:
        body, body_base64 = record.body.decode(), None
    except UnicodeDecodeError:
        body, body_base64 = "", base64.b64encode(record.body).decode()
    return WireRecord(
        generation=record.generation,
        seq=record.seq,
        kind=record.kind,
        boot_id=record.stamp.boot_id,
        mono_ms=record.stamp.mono_ms,
        wall_ms=record.stamp.wall_ms,
        clock=record.stamp.clock,
        hash=record.hash.hex(),
        body=body,
        body_base64=body_base64,
    )


def to_wire_head(head: Head) -> WireHead:
    """A place in a chain as it is sent."""
    return WireHead(generation=head.generation, seq=head.seq, hash=head.hash)


def from_wire(record: WireRecord) -> Record:
    """Inverse of :func:`to_wire`, byte for byte. Raises :class:`WireError`."""
    body = record.body.encode() if record.body_base64 is None else from_base64(record.body_base64)
    return Record(
        generation=record.generation,
        seq=record.seq,
        kind=record.kind,
        stamp=Stamp(boot_id=record.boot_id, mono_ms=record.mono_ms, wall_ms=record.wall_ms, clock=record.clock),
        body=body,
        hash=bytes.fromhex(record.hash),
    )


# --- signatures -----------------------------------------------------------------------------------------------------


def request_signing_input(method: str, path: str, body: bytes, server_nonce: str) -> bytes:
    """What a bin signs. ``body`` is the body as sent."""
    return "\n".join(("kiosk-request-1", method, path, hashlib.sha256(body).hexdigest(), server_nonce)).encode()


def answer_signing_input(status: int, request_nonce: str, body: bytes) -> bytes:
    """What the server signs."""
    return "\n".join(("kiosk-answer-1", str(status), request_nonce, hashlib.sha256(body).hexdigest())).encode()


def sign(key: Ed25519PrivateKey, digest: bytes) -> str:
    """The value of the signature header."""
    return base64.b64encode(key.sign(digest)).decode()


def verified(key: Ed25519PublicKey, signature: str, digest: bytes) -> bool:
    """Whether ``key`` signed ``digest``; any nonsense in place of a signature is simply not one."""
    try:
        key.verify(from_base64(signature), digest)
    except (WireError, InvalidSignature):
        return False
    return True


def public_key_text(key: Ed25519PublicKey) -> str:
    """A public key as it is sent and stored."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def public_key_from(text: str) -> Ed25519PublicKey:
    """Inverse of :func:`public_key_text`. Raises :class:`WireError`."""
    raw = from_base64(text)
    if len(raw) != 32:
        raise WireError(f"an Ed25519 public key has 32 bytes, this has {len(raw)}")
    return Ed25519PublicKey.from_public_bytes(raw)


def from_base64(text: str) -> bytes:
    """Strict base64. Raises :class:`WireError`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(f"not base64: {error}") from error


def header_of(headers: Mapping[str, str], name: str) -> str:
    """A header's value whatever its case, empty when it is missing."""
    for key, value in headers.items():
        if key.lower() == name.lower():
            return value
    return ""
