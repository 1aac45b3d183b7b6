"""Between the bin and its points server: requests and answers that are lost, late, doubled, foreign or lies."""

from __future__ import annotations

import shutil
import sqlite3
from functools import lru_cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import wire
from sync.identity import Identity, enrol_request, read_enrol_answer
from sync.points_server.server import PointsServer, Reply
from sync.points_server.tariffs import DEFAULT_TARIFF
from sync.records import Tariff, TariffItem
from sync.upload_steps import Send
from tests.simulation.clock import EPOCH_MS

if TYPE_CHECKING:
    from tests.simulation.run import Simulation
    from tests.simulation.uploading import Uploading

BIN_ID = "bin-1"
SECOND_TARIFF = Tariff(
    version=2,
    items={
        name: TariffItem(item_code=item.item_code, points=item.points + 3)
        for name, item in DEFAULT_TARIFF.items.items()
    },
)
NEXT_CALL_MS = 15_000
GIVEN_UP_MS = 20_000
FOREIGN_KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEEP_ANSWERS = 20


@lru_cache(maxsize=1)
def enrolled() -> tuple[bytes, Identity]:
    """A server's database that has enrolled one bin, and that bin's identity; the same in every simulation."""
    rng = Random("enrolment")
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "points.sqlite"
        server = PointsServer(f"sqlite:///{path}", rng=rng)
        headers, body, nonce = enrol_request(key, code=server.add_bin(BIN_ID), rng=rng)
        reply = server.handle_enrol(headers, body, EPOCH_MS)
        answer = read_enrol_answer(reply.status, reply.headers[wire.SIGNATURE_HEADER.title()], reply.body, nonce)
        server.close()
        database = path.read_bytes()
    identity = Identity(
        bin_id=answer.bin_id,
        private_key=key,
        server_url="http://points",
        server_public_key=wire.public_key_from(answer.server_public_key),
        programme_key_id=answer.programme_key_id,
        programme_key=wire.from_base64(answer.programme_key),
        programme_salt=wire.from_base64(answer.programme_salt),
    )
    return database, identity


class Server:
    """The real points server on its own file, and an operator who restores backups of it."""

    def __init__(self, simulation: Simulation, folder: Path) -> None:
        self._simulation = simulation
        self.path = folder / "points.sqlite"
        self._backups: list[Path] = []
        self._starts = 0
        self.path.write_bytes(enrolled()[0])
        self._start()

    def _start(self) -> None:
        self._starts += 1
        rng = Random(f"{self._simulation.seed}:server:{self._starts}")
        self._server = PointsServer(f"sqlite:///{self.path}", rng=rng, next_call_ms=NEXT_CALL_MS)

    @property
    def key(self) -> Ed25519PrivateKey:
        return self._server._key

    def handle(self, send: Send) -> Reply:
        reply = self._server.handle_sync(send.path, send.headers, send.body, self._simulation.clock.true_ms())
        self._simulation.oracle.server_holds(self.path)
        return reply

    def raise_prices(self) -> None:
        self._server.add_tariff(SECOND_TARIFF)

    def release_unpaid(self) -> None:
        """The operator pays what is held only because a restored server forgot which tariffs it had issued."""
        db = sqlite3.connect(self.path)
        rows = db.execute("SELECT generation, seq FROM verdicts WHERE verdict = 'held' AND code = 'unknown_tariff'")
        for generation, seq in rows.fetchall():
            self._server.release(BIN_ID, generation, seq, self._simulation.clock.true_ms())
        db.close()

    def back_up(self) -> None:
        backup = self.path.with_name(f"backup-{len(self._backups)}.sqlite")
        source, target = sqlite3.connect(self.path), sqlite3.connect(backup)
        source.backup(target)
        source.close()
        target.close()
        self._backups.append(backup)

    def restore(self, rng: Random) -> bool:
        """Go back to an older state; false without a backup."""
        if not self._backups:
            return False
        self.close()
        shutil.copyfile(rng.choice(self._backups), self.path)
        self._start()
        return True

    def close(self) -> None:
        self._server.close()
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)


class Network:
    """One request at a time, as the uploader makes them. ``trouble``: faults, each per mille of requests."""

    def __init__(self, simulation: Simulation, server: Server) -> None:
        self._simulation = simulation
        self._server = server
        self._rng = Random(f"{simulation.seed}:network")
        self.trouble: dict[str, int] = {}
        self.down = False
        self._answers: list[Reply] = []
        self._healed_ns: int | None = None
        self.healthy_answers = 0
        """Answers of 200 to requests that were made after all was mended."""

    def heal(self) -> None:
        self.trouble, self.down = {}, False
        self._healed_ns = self._simulation.timers.now_ns
        self.healthy_answers = 0

    def send(self, send: Send, to: Uploading) -> None:
        fault = self._draw()
        if fault:
            self._simulation.fate.happened(fault)
        delay_ms, sent_ns = self._rng.randint(5, 150), self._simulation.timers.now_ns
        if fault in ("network down", "request lost"):
            lost_ms = 50 if fault == "network down" else GIVEN_UP_MS
            to.after(lost_ms, lambda: to.failed("the server was not reached"))
            return
        # Once it is on its way it arrives, whether or not its sender lives to hear the answer.
        self._simulation.timers.after(delay_ms, lambda: self._arrive(send, to, fault, sent_ns))

    def _draw(self) -> str | None:
        if self.down:
            return "network down"
        for fault, per_mille in self.trouble.items():
            if self._rng.randrange(1_000) < per_mille:
                return fault
        return None

    def _arrive(self, send: Send, to: Uploading, fault: str | None, sent_ns: int) -> None:
        if fault == "4xx storm":
            status = self._rng.choice((400, 401, 403, 404, 413, 429))
            headers = {"Retry-After": "7"} if status == 429 else {}
            self._reply(to, Reply(status, headers, b"no"))
            return
        if fault == "5xx storm":
            self._reply(to, Reply(self._rng.choice((500, 502, 503)), {}, b"<html>busy</html>"))
            return
        if fault == "response of a foreign key":
            self._reply(to, self._forged(send))
            return
        reply = self._server.handle(send)
        if fault == "request doubled":
            again = self._server.handle(send)
            reply = self._rng.choice((reply, again))
        if fault in ("response lost", "response late"):
            to.after(GIVEN_UP_MS, lambda: to.failed("the server was not reached (ReadTimeout)"))
        elif fault == "5xx although taken":
            self._reply(to, Reply(502, {}, b"<html>bad gateway</html>"))
        elif fault == "response to a foreign nonce":
            self._reply(to, self._signed(reply, self._server.key, "00" * 16))
        elif fault in ("acknowledgement beyond the end", "acknowledgement of another hash"):
            self._reply(to, self._lie(reply, send, fault))
        else:
            self._reply(to, reply)
            self.healthy_answers += reply.status == 200 and sent_ns >= (self._healed_ns or 0)
            if fault == "response doubled":
                to.after(400, lambda: to.answered_again(*reply))
        self._answers = [*self._answers, reply][-KEEP_ANSWERS:]

    def _reply(self, to: Uploading, reply: Reply) -> None:
        late = self._answers and self.trouble.get("response late") and self._rng.randrange(4) == 0
        if late:
            self._simulation.fate.happened("response late")
            reply = self._rng.choice(self._answers)
        to.after(self._rng.randint(5, 150), lambda: to.answered(*reply))

    def _lie(self, reply: Reply, send: Send, fault: str) -> Reply:
        """What a server would say that has gone mad, or over to the enemy: signed, to the point, and wrong."""
        if reply.status != 200:
            return reply
        answer = wire.decode(reply.body, wire.SyncAnswer)
        ack = answer.ack
        if fault == "acknowledgement beyond the end":
            ack = self._simulation.oracle.beyond(ack, self._request(send).head)
        else:
            ack = msgspec.structs.replace(ack, acked_hash="5" * 64)
        lie = msgspec.structs.replace(answer, ack=ack)
        return self._signed(Reply(200, reply.headers, wire.encode(lie)), self._server.key, answer.nonce)

    def _forged(self, send: Send) -> Reply:
        """Somebody in between takes it all and stores nothing."""
        request = self._request(send)
        head = request.head
        answer = wire.SyncAnswer(
            nonce=request.nonce,
            next_nonce="forged",
            ack=wire.Ack(generation=head.generation, acked_seq=head.seq, acked_hash=head.hash),
            verdicts=[],
            fork=False,
            tariff=None,
            server_time_ms=self._simulation.clock.true_ms(),
            next_call_ms=NEXT_CALL_MS,
        )
        return self._signed(Reply(200, {}, wire.encode(answer)), FOREIGN_KEY, request.nonce)

    @staticmethod
    def _request(send: Send) -> wire.SyncRequest:
        return wire.decode(wire.unpack(send.body), wire.SyncRequest)

    @staticmethod
    def _signed(reply: Reply, key: Ed25519PrivateKey, nonce: str) -> Reply:
        signature = wire.sign(key, wire.answer_signing_input(reply.status, nonce, reply.body))
        return Reply(reply.status, {**reply.headers, "Kiosk-Signature": signature}, reply.body)
