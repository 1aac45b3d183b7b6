"""Chains, bins and servers for the tests of the sync endpoint. The bin here is written apart from the ledger."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import wire
from sync.exchange import Apply, Batch
from sync.identity import Identity, enrol_request, read_enrol_answer
from sync.points_server.server import PointsServer, Reply
from sync.records import (
    ZERO_HASH,
    Body,
    Deposit,
    GenerationStarted,
    Head,
    Holder,
    Record,
    Stamp,
    Tariff,
    chain_hash,
    encode_body,
    kind_of,
)
from sync.upload_steps import AskBatch, AskHash, Command, Forked, Outcome, Send, TariffIssued, Wait
from sync.uploader import Uploader

STAMP = Stamp(boot_id="boot-1", mono_ms=1_000, wall_ms=None, clock="unsure")
NOW_MS = 1_800_000_000_000


def status(tariff_version: int | None = 1) -> wire.Status:
    return wire.Status(software="test", accepted=0, acknowledged=0, pending=0, held=0, tariff_version=tariff_version)


def deposit(
    item_id: str,
    *,
    points: int = 10,
    count: int = 1,
    unpaid: bool = False,
    tariff_version: int = 1,
    battery_class: str = "AA",
    item_code: str = "B01-02",
    ref: str = "k1:aa",
) -> Deposit:
    return Deposit(
        item_id=item_id,
        holder=Holder(scheme="em4100", ref=ref),
        battery_class=battery_class,
        count=count,
        item_code=item_code,
        points=points,
        unpaid=unpaid,
        tariff_version=tariff_version,
        mass_mg=23_800,
        cap_ms=0,
        evidence_sha256="00" * 32,
    )


def started(previous: Head | None = None) -> GenerationStarted:
    return GenerationStarted(bin_id="bin-1", reason="new", previous=previous)


def follow(before: Record | None, generation: str, body: bytes, kind: str) -> Record:
    seq = before.seq + 1 if before else 1
    previous = before.hash if before else ZERO_HASH
    hash_ = chain_hash(previous, generation=generation, seq=seq, kind=kind, stamp=STAMP, body=body)
    return Record(generation=generation, seq=seq, kind=kind, stamp=STAMP, body=body, hash=hash_)


def head_of(record: Record) -> Head:
    return Head(generation=record.generation, seq=record.seq, hash=record.hash.hex())


@dataclass
class Chains:
    """A ledger in miniature: a list of records, a cursor, holds."""

    records: list[Record] = field(default_factory=list)
    cursor: int = 0
    held: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, body: Body) -> Record:
        return self.add_raw(encode_body(body), kind_of(body))

    def add_raw(self, body: bytes, kind: str) -> Record:
        last = self.records[-1]
        record = follow(last, last.generation, body, kind)
        self.records.append(record)
        return record

    def begin(self, generation: str) -> Record:
        previous = head_of(self.records[-1]) if self.records else None
        body = started(previous)
        record = follow(None, generation, encode_body(body), kind_of(body))
        self.records.append(record)
        return record

    def copy(self) -> Chains:
        return Chains(records=list(self.records), cursor=self.cursor, held=dict(self.held))

    def batch(self, records_max: int = 500) -> Batch:
        pending = self.records[self.cursor : self.cursor + records_max]
        generations = tuple(dict.fromkeys(record.generation for record in self.records))
        return Batch(
            records=tuple(record for record in pending if record.generation == pending[0].generation),
            head=head_of(self.records[-1]),
            generations=generations,
            held=tuple(head_of(record) for record in self.records if (record.generation, record.seq) in self.held),
        )

    def hash_at(self, generation: str, seq: int) -> bytes | None:
        for record in self.records:
            if record.generation == generation and record.seq == max(seq, 1):
                return record.hash if seq else ZERO_HASH
        return None

    def apply(self, answer: Apply) -> None:
        places = [(record.generation, record.seq) for record in self.records]
        self.cursor = places.index((answer.generation, max(answer.seq, 1))) + (1 if answer.seq else 0)
        for hold in answer.held:
            self.held[hold.generation, hold.seq] = hold.code
        for release in answer.released:
            self.held.pop((release.generation, release.seq), None)


def chains(*bodies: Body, generation: str = "g1") -> Chains:
    made = Chains()
    made.begin(generation)
    for body in bodies:
        made.add(body)
    return made


def make_server(seed: int = 1, url: str = "sqlite://") -> PointsServer:
    return PointsServer(url, rng=random.Random(seed))


def enrolled(server: PointsServer, bin_id: str = "bin-1", seed: int = 7) -> Identity:
    rng = random.Random(seed)
    key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    reply, nonce = ask_to_enrol(server, key, server.add_bin(bin_id), seed)
    answer = read_enrol_answer(reply.status, reply.headers["Kiosk-Signature"], reply.body, nonce)
    return Identity(
        bin_id=answer.bin_id,
        private_key=key,
        server_url="http://127.0.0.1",
        server_public_key=wire.public_key_from(answer.server_public_key),
        programme_key_id=answer.programme_key_id,
        programme_key=wire.from_base64(answer.programme_key),
        programme_salt=wire.from_base64(answer.programme_salt),
    )


def ask_to_enrol(server: PointsServer, key: Ed25519PrivateKey, code: str, seed: int = 7) -> tuple[Reply, str]:
    headers, body, nonce = enrol_request(key, code=code, rng=random.Random(seed))
    return server.handle_enrol(headers, body, NOW_MS), nonce


class Bin:
    """Uploader and chains against a server's handler, without a socket."""

    def __init__(self, server: PointsServer, identity: Identity, ledger: Chains, seed: int = 3) -> None:
        self.server = server
        self.ledger = ledger
        self.uploader = Uploader(identity=identity, rng=random.Random(seed))
        self.tariff: Tariff | None = None
        self.tariff_version: int | None = 1
        self.now_ms = 0
        self.sent: list[Send] = []
        self.replies: list[Reply] = []
        self.records_max = 500

    def until_send(self) -> Send:
        """Do what the uploader asks, waiting included, until it wants to send."""
        while True:
            match self.next():
                case Send() as send:
                    self.sent.append(send)
                    return send
                case Wait(until_ms=until_ms):
                    assert until_ms > self.now_ms
                    self.now_ms = until_ms

    def next(self) -> Command:
        command = self.uploader.next(self.now_ms)
        match command:
            case AskBatch():
                self.uploader.batch(
                    self.ledger.batch(self.records_max), status(self.tariff_version), STAMP, self.now_ms
                )
            case AskHash(generation=generation, seq=seq):
                self.do(self.uploader.own_hash(self.ledger.hash_at(generation, seq), self.now_ms))
        return command

    def do(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Apply():
                    self.ledger.apply(outcome)
                case Forked():
                    self.ledger.begin(f"g{len(self.ledger.batch().generations) + 1}")
                case TariffIssued(tariff=tariff):
                    self.tariff, self.tariff_version = tariff, tariff.version

    def exchange(self) -> Reply:
        send = self.until_send()
        reply = self.server.handle_sync(send.path, send.headers, send.body, NOW_MS + self.now_ms)
        self.replies.append(reply)
        self.do(self.uploader.answered(reply.status, reply.headers, reply.body, self.now_ms))
        if isinstance(self.uploader.next(self.now_ms), AskHash):
            self.next()
        return reply

    def sync(self, rounds: int = 40) -> wire.SyncAnswer:
        """Exchange until the server has everything."""
        for _ in range(rounds):
            reply = self.exchange()
            if reply.status == 200 and self.ledger.cursor == len(self.ledger.records):
                return wire.decode(reply.body, wire.SyncAnswer)
        raise AssertionError("the server does not take everything")
