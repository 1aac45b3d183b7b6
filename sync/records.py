"""What the ledger remembers: one Struct per kind of record, pure data.

A record's body is the JSON of one of these Structs. It is encoded once, by :func:`encode_body`, then stored, hashed and
sent as those bytes; nobody serialises it again. The shared vocabulary of the bin, the wire and the points server.

Units: mass in integer milligrams, points in integers, time in integer milliseconds with its clock named.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Trust = Literal["trusted", "unsure"]


class Stamp(Struct, frozen=True, kw_only=True):
    """When something happened, as well as this machine could know it.

    ``mono_ms`` counts within ``boot_id`` and is always right; ``wall_ms`` is Unix time, null while it is not trusted.
    """

    boot_id: str
    mono_ms: int
    wall_ms: int | None
    clock: Trust


class Holder(Struct, frozen=True, kw_only=True):
    """Who gets the points: a pseudonym made from the card, never the card's number itself."""

    scheme: str
    ref: str


class Head(Struct, frozen=True, kw_only=True):
    """The last record of a chain: hash in hex, seq 0 with 64 zeroes before the first record."""

    generation: str
    seq: int
    hash: str


class TariffItem(Struct, frozen=True, kw_only=True):
    """What one battery of a class is worth, and its code in the programme's catalogue."""

    item_code: str
    points: int


OTHER_CLASS = "other"


class Tariff(Struct, frozen=True, kw_only=True):
    """Prices by battery class as the server issued them; every version stays payable for ever."""

    version: int
    items: dict[str, TariffItem]

    def item_for(self, battery_class: str) -> TariffItem | None:
        """The line that pays for a class: its own, else that of :data:`OTHER_CLASS`, else none."""
        return self.items.get(battery_class) or self.items.get(OTHER_CLASS)


class Counts(Struct, frozen=True, kw_only=True):
    """Deposits in the ledger: accepted = acknowledged + pending + held.

    pending: after the cursor. held: at or before the cursor and held by the server. since_emptied: since the store was
    last emptied.
    """

    accepted: int = 0
    acknowledged: int = 0
    pending: int = 0
    held: int = 0
    since_emptied: int = 0


class CappedCredit(Struct, frozen=True, kw_only=True):
    """Points already credited to a holder, for the daily cap. ``cap_ms``: see :class:`Deposit`."""

    ref: str
    cap_ms: int
    points: int


# --- evidence -------------------------------------------------------------------------------------------------------

EdgeLine = Literal["a", "b", "metal"]


class Passage(Struct, frozen=True, kw_only=True, array_like=True):
    """One passing of something through the two drop beams, from the first edge until both were quiet.

    ``edges``: (line, active, microseconds since the first edge); active is "blocked" for a beam, "seen" for metal.
    """

    started_ms: int
    edges: tuple[tuple[EdgeLine, bool, int], ...]


class MassSample(Struct, frozen=True, kw_only=True, array_like=True):
    """One reading of the weigh shelf, ``at_ms`` after the fall, gross (the tare is not yet taken off)."""

    at_ms: int
    mass_mg: int
    stable: bool


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything a verdict was made from; replaying it gives the same verdict."""

    rules: int
    passages: tuple[Passage, ...]
    tare_mg: int
    masses: tuple[MassSample, ...]
    mass_mg: int | None
    """Settled net mass; null when the shelf never came to rest."""


# --- kinds ----------------------------------------------------------------------------------------------------------


class Body(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every kind has in common: its name, inside the body as well, so that a body explains itself."""


class GenerationStarted(Body, frozen=True, kw_only=True, tag="generation_started"):
    """First record of every generation. ``previous`` is the head that it follows, null when that is unknown."""

    bin_id: str
    reason: Literal["new", "restored", "moved", "fork", "damaged"]
    previous: Head | None


class Boot(Body, frozen=True, kw_only=True, tag="boot"):
    """The controller started. ``cap_ms``: the cap clock at that moment (see :class:`Deposit`)."""

    version: str
    cap_ms: int


class TimeAnchor(Body, frozen=True, kw_only=True, tag="time_anchor"):
    """Wall time became trusted or stepped by over 2 s; readers date earlier records of this boot from it."""

    mono_ms: int
    wall_ms: int
    step_ms: int | None


class Deposit(Body, frozen=True, kw_only=True, tag="deposit"):
    """A battery fell and was credited. Never re-priced: these points are what the resident was shown.

    ``cap_ms`` is the cap clock: summed uptime or server-signed time, whichever is ahead; never the wall clock.
    ``points`` is 0 when the deposit is accepted unpaid (over the daily cap).
    """

    item_id: str
    holder: Holder
    battery_class: str
    count: int
    item_code: str
    points: int
    unpaid: bool
    tariff_version: int
    mass_mg: int | None
    cap_ms: int
    evidence_sha256: str


class Refusal(Body, frozen=True, kw_only=True, tag="refusal"):
    """Something fell, or tried to, and was not credited.

    ``reason`` is a code of :mod:`kiosk.core.judge`, or what happened around the item: ``door``, ``hazard``,
    ``unclear``, ``over_cap``, ``unpriced``.
    """

    item_id: str
    holder: Holder
    reason: str
    mass_mg: int | None
    evidence_sha256: str


class TipConfirmed(Body, frozen=True, kw_only=True, tag="tip_confirmed"):
    """The deposit left the shelf into the store. ``recovered``: found open at start and stored by the first cycle."""

    item_id: str
    recovered: bool


class TipFailed(Body, frozen=True, kw_only=True, tag="tip_failed"):
    """The deposit's tip was not seen to succeed. The credit stands; the server reviews it."""

    item_id: str
    reason: Literal["jam", "door", "hazard", "retracted", "removed"]


class OrphanCleared(Body, frozen=True, kw_only=True, tag="orphan_cleared"):
    """Something without a committed deposit lay on the shelf and was moved to the store, uncredited."""

    mass_mg: int


class HazardRaised(Body, frozen=True, kw_only=True, tag="hazard_raised"):
    """A latch: stays through restarts until a technician clears it on site."""

    hazard: str
    detail: str


class HazardCleared(Body, frozen=True, kw_only=True, tag="hazard_cleared"):
    hazard: str
    reason: str


class FaultRaised(Body, frozen=True, kw_only=True, tag="fault_raised"):
    device: str
    detail: str


class FaultCleared(Body, frozen=True, kw_only=True, tag="fault_cleared"):
    device: str


class ServiceEntered(Body, frozen=True, kw_only=True, tag="service_entered"):
    """The service door was opened."""


class ServiceLeft(Body, frozen=True, kw_only=True, tag="service_left"):
    """The service door was closed again."""


class Emptied(Body, frozen=True, kw_only=True, tag="emptied"):
    """A technician took the store's contents away. ``note``: what they wrote about it."""

    note: str


AnyBody: TypeAlias = (
    GenerationStarted
    | Boot
    | TimeAnchor
    | Deposit
    | Refusal
    | TipConfirmed
    | TipFailed
    | OrphanCleared
    | HazardRaised
    | HazardCleared
    | FaultRaised
    | FaultCleared
    | ServiceEntered
    | ServiceLeft
    | Emptied
)

_encoder = msgspec.json.Encoder()
_body_decoder: msgspec.json.Decoder[AnyBody] = msgspec.json.Decoder(AnyBody)
_evidence_decoder = msgspec.json.Decoder(Evidence)


def kind_of(body: Body) -> str:
    """The name that the ``kind`` column carries."""
    return str(body.__struct_config__.tag)


def encode_body(body: Body) -> bytes:
    """The bytes that are stored, hashed and sent."""
    return _encoder.encode(body)


def decode_body(data: bytes) -> AnyBody:
    """Inverse of :func:`encode_body`; unknown fields are ignored. Raises :class:`msgspec.ValidationError`."""
    return _body_decoder.decode(data)


def encode_evidence(evidence: Evidence) -> bytes:
    """The bytes that are stored beside the record; their SHA-256 goes into the record's body."""
    return _encoder.encode(evidence)


def decode_evidence(data: bytes) -> Evidence:
    """Inverse of :func:`encode_evidence`. Raises :class:`msgspec.ValidationError`."""
    return _evidence_decoder.decode(data)


# --- the chain ------------------------------------------------------------------------------------------------------

HASH_FORMAT = b"\x01"
ZERO_HASH = bytes(32)


class Record(Struct, frozen=True, kw_only=True):
    """One row of the ledger as it is stored. Identity is (bin, generation, seq)."""

    generation: str
    seq: int
    kind: str
    stamp: Stamp
    body: bytes
    hash: bytes


def chain_hash(previous: bytes, *, generation: str, seq: int, kind: str, stamp: Stamp, body: bytes) -> bytes:
    """SHA-256 of format byte, previous hash, each column behind its length (4 bytes, big-endian), body likewise.

    ``previous`` is :data:`ZERO_HASH` for the first record of a generation. A null wall time is an empty column.
    """
    wall = "" if stamp.wall_ms is None else str(stamp.wall_ms)
    columns = (generation, str(seq), kind, stamp.boot_id, str(stamp.mono_ms), wall, stamp.clock)
    digest = hashlib.sha256(HASH_FORMAT + previous)
    for column in (*(text.encode() for text in columns), body):
        digest.update(len(column).to_bytes(4, "big"))
        digest.update(column)
    return digest.digest()
