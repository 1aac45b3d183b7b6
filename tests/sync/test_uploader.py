"""Playbooks against the stepper; the server here is a key and a pen that writes any answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import wire
from sync.exchange import Apply, Hold, Release
from sync.identity import Identity
from sync.records import ZERO_HASH, Record, Tariff, TariffItem
from sync.upload_steps import (
    Alarm,
    AskBatch,
    AskHash,
    Forked,
    Offline,
    Online,
    Outcome,
    Send,
    ServerTime,
    TariffIssued,
    Wait,
)
from sync.uploader import ANSWER_MS_MAX, BACK_OFF_MS_MAX, NEXT_CALL_MS_MAX, RECORDS_MAX, Uploader
from tests.sync.sync_making import STAMP, Chains, chains, deposit, status

SERVER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FOREIGN_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
BIN_KEY = Ed25519PrivateKey.from_private_bytes(b"b" * 32)


class Desk:
    """A stepper, its ledger, and a hand that answers it."""

    def __init__(self, ledger: Chains, seed: int = 1) -> None:
        identity = Identity(
            bin_id="bin-1",
            private_key=BIN_KEY,
            server_url="",
            server_public_key=SERVER_KEY.public_key(),
            programme_key_id="k1",
            programme_key=b"",
            programme_salt=b"",
        )
        self.uploader = Uploader(identity=identity, rng=random.Random(seed))
        self.ledger = ledger
        self.now_ms = 0

    def send(self, records_max: int | None = None) -> Send:
        """Let it wait and ask until it sends."""
        while True:
            command = self.uploader.next(self.now_ms)
            if isinstance(command, Send):
                return command
            if isinstance(command, Wait):
                self.now_ms = command.until_ms
            else:
                assert isinstance(command, AskBatch)
                batch = self.ledger.batch(records_max or command.records_max)
                self.uploader.batch(batch, status(), STAMP, self.now_ms)

    def answer(self, send: Send, **changes: Any) -> wire.SyncAnswer:
        """A good answer: everything sent is acknowledged, unless told otherwise."""
        request = wire.decode(wire.unpack(send.body), wire.SyncRequest)
        last = request.records[-1] if request.records else request.head
        values: dict[str, Any] = {
            "nonce": request.nonce,
            "next_nonce": "next",
            "ack": wire.Ack(generation=last.generation, acked_seq=last.seq, acked_hash=last.hash),
            "verdicts": [],
            "fork": False,
            "tariff": None,
            "server_time_ms": 1_800_000_000_000,
            "next_call_ms": 60_000,
        }
        return wire.SyncAnswer(**(values | changes))

    def deliver(
        self,
        send: Send,
        answer: wire.SyncAnswer | wire.Refused | bytes,
        *,
        code: int = 200,
        key: Ed25519PrivateKey = SERVER_KEY,
        nonce: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> list[Outcome]:
        body = answer if isinstance(answer, bytes) else wire.encode(answer)
        signed = nonce or wire.decode(wire.unpack(send.body), wire.SyncRequest).nonce
        signature = wire.sign(key, wire.answer_signing_input(code, signed, body))
        outcomes = self.uploader.answered(code, {"Kiosk-Signature": signature, **(headers or {})}, body, self.now_ms)
        return outcomes + self.look_up()

    def look_up(self) -> list[Outcome]:
        command = self.uploader.next(self.now_ms)
        if not isinstance(command, AskHash):
            return []
        return self.uploader.own_hash(self.ledger.hash_at(command.generation, command.seq), self.now_ms)

    def refuse(self, code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> list[Outcome]:
        """An answer that nobody signed."""
        return self.uploader.answered(code, headers or {}, body, self.now_ms)

    def due_ms(self) -> int:
        command = self.uploader.next(self.now_ms)
        return command.until_ms if isinstance(command, Wait) else self.now_ms


def three() -> Desk:
    return Desk(chains(deposit("i1"), deposit("i2")))


def ack_of(record: Record, **changes: Any) -> wire.Ack:
    ack = wire.Ack(generation=record.generation, acked_seq=record.seq, acked_hash=record.hash.hex())
    return msgspec.structs.replace(ack, **changes)


def applied(outcomes: Sequence[Outcome]) -> Apply | None:
    found = [outcome for outcome in outcomes if isinstance(outcome, Apply)]
    assert len(found) <= 1
    return found[0] if found else None


def alarm_codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.code for outcome in outcomes if isinstance(outcome, Alarm)]


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_request_is_signed_over_the_servers_nonce_and_carries_the_stored_bytes() -> None:
    desk = three()
    send = desk.send()
    assert (send.method, send.path) == ("POST", "/v1/bins/bin-1/sync")
    digest = wire.request_signing_input(send.method, send.path, send.body, "")
    assert wire.verified(BIN_KEY.public_key(), send.headers["Kiosk-Signature"], digest)
    request = wire.decode(wire.unpack(send.body), wire.SyncRequest)
    assert [wire.from_wire(record) for record in request.records] == desk.ledger.records
    desk.deliver(send, desk.answer(send))
    desk.now_ms += NEXT_CALL_MS_MAX
    send = desk.send()
    assert send.headers["Kiosk-Server-Nonce"] == "next"


def test_one_request_is_in_flight_at_a_time() -> None:
    desk = three()
    desk.send()
    assert desk.uploader.in_flight
    desk.uploader.poke()
    assert desk.uploader.next(desk.now_ms) == Wait(until_ms=desk.now_ms + ANSWER_MS_MAX)
    assert desk.uploader.failed("no answer", desk.now_ms) == [Offline(trouble="no answer")]
    assert not desk.uploader.in_flight


def test_a_batch_is_asked_for_until_it_is_given() -> None:
    desk = three()
    assert desk.uploader.next(0) == desk.uploader.next(0) == AskBatch(records_max=RECORDS_MAX, bytes_max=512 << 10)


# --- acknowledgements -----------------------------------------------------------------------------------------------


def test_a_good_answer_moves_the_cursor_and_says_online_and_the_time() -> None:
    desk = three()
    send = desk.send()
    last = desk.ledger.records[-1]
    desk.now_ms += 70
    assert desk.deliver(send, desk.answer(send)) == [
        Apply(generation="g1", seq=3, hash=last.hash),
        ServerTime(wall_ms=1_800_000_000_000),
        Online(),
    ]
    assert desk.uploader.next(desk.now_ms) == Wait(until_ms=desk.now_ms + 60_000)


def test_an_acknowledgement_within_the_request_is_believed_and_the_rest_goes_at_once() -> None:
    desk = three()
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[1])))
    assert applied(outcomes) == Apply(generation="g1", seq=2, hash=desk.ledger.records[1].hash)
    assert isinstance(desk.uploader.next(desk.now_ms), AskBatch)


def test_a_lower_acknowledgement_moves_the_cursor_down() -> None:
    desk = three()
    desk.ledger.cursor = 2
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[0])))
    assert applied(outcomes) == Apply(generation="g1", seq=1, hash=desk.ledger.records[0].hash)


def test_an_acknowledgement_of_nothing_moves_the_cursor_to_the_generations_beginning() -> None:
    desk = three()
    desk.ledger.cursor = 3
    send = desk.send()
    nothing = wire.Ack(generation="g1", acked_seq=0, acked_hash=ZERO_HASH.hex())
    assert applied(desk.deliver(send, desk.answer(send, ack=nothing))) == Apply(generation="g1", seq=0, hash=ZERO_HASH)


def test_an_earlier_generation_may_be_acknowledged_and_a_later_one_not() -> None:
    desk = three()
    desk.ledger.begin("g2")
    desk.ledger.begin("g3")
    desk.ledger.cursor = 3
    send = desk.send()
    assert wire.decode(wire.unpack(send.body), wire.SyncRequest).records[0].generation == "g2"
    outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[4])))
    assert (applied(outcomes), alarm_codes(outcomes)) == (None, ["ack_beyond"])
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[1])))
    assert applied(outcomes) == Apply(generation="g1", seq=2, hash=desk.ledger.records[1].hash)


def test_an_acknowledgement_beyond_what_was_sent_is_not_believed_though_its_hash_is_right() -> None:
    desk = three()
    send = desk.send(records_max=1)
    outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[2])))
    assert (applied(outcomes), alarm_codes(outcomes)) == (None, ["ack_beyond"])


def test_an_acknowledgement_beyond_the_end_is_not_believed() -> None:
    desk = three()
    for _ in range(2):
        send = desk.send()
        outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[-1], acked_seq=4)))
        assert applied(outcomes) is None
        desk.ledger.cursor = 3


def test_an_unknown_generation_is_not_believed() -> None:
    desk = three()
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, ack=ack_of(desk.ledger.records[0], generation="other")))
    assert (applied(outcomes), alarm_codes(outcomes)) == (None, ["ack_beyond"])


@pytest.mark.parametrize(("cursor", "seq"), [(0, 2), (2, 1), (3, 3), (0, 0)])
def test_another_hash_than_ours_is_an_alarm_and_is_told_to_the_server(cursor: int, seq: int) -> None:
    desk = three()
    desk.ledger.cursor = cursor
    send = desk.send()
    wrong = wire.Ack(generation="g1", acked_seq=seq, acked_hash="ab" * 32)
    verdict = wire.Verdict(generation="g1", seq=1, verdict="held", code="x", text="")
    outcomes = desk.deliver(send, desk.answer(send, ack=wrong, verdicts=[verdict], fork=True))
    assert alarm_codes(outcomes) == ["ack_hash"]
    assert {type(outcome) for outcome in outcomes} == {Offline, Alarm}
    send = desk.send()
    request = wire.decode(wire.unpack(send.body), wire.SyncRequest)
    assert request.disbelieved == wire.WireHead(generation="g1", seq=seq, hash="ab" * 32)
    assert applied(desk.deliver(send, desk.answer(send)))
    assert wire.decode(wire.unpack(desk.send().body), wire.SyncRequest).disbelieved is None


def test_an_answer_that_the_ledger_has_no_record_for_is_not_believed() -> None:
    desk = three()
    send = desk.send()
    outcomes = desk.uploader.answered(*_signed(desk, send, desk.answer(send, ack=_zero())), desk.now_ms)
    assert outcomes == []
    assert desk.uploader.next(desk.now_ms) == AskHash(generation="g1", seq=0)
    assert alarm_codes(desk.uploader.own_hash(None, desk.now_ms)) == ["ack_hash"]


def _zero() -> wire.Ack:
    return wire.Ack(generation="g1", acked_seq=0, acked_hash=ZERO_HASH.hex())


def _signed(desk: Desk, send: Send, answer: wire.SyncAnswer) -> tuple[int, dict[str, str], bytes]:
    body = wire.encode(answer)
    nonce = wire.decode(wire.unpack(send.body), wire.SyncRequest).nonce
    return 200, {"Kiosk-Signature": wire.sign(SERVER_KEY, wire.answer_signing_input(200, nonce, body))}, body


def test_a_server_that_takes_nothing_is_not_called_at_full_speed() -> None:
    desk = three()
    waits = []
    for _ in range(12):
        send = desk.send()
        before = desk.now_ms
        assert applied(desk.deliver(send, desk.answer(send, ack=_zero())))
        desk.uploader.poke()
        waits.append(desk.due_ms() - before)
    assert max(waits) > 10_000


# --- verdicts, fork, tariff -----------------------------------------------------------------------------------------


def test_held_and_released_ride_with_the_acknowledgement() -> None:
    desk = three()
    desk.ledger.held["g1", 1] = "x"
    send = desk.send()
    assert wire.decode(wire.unpack(send.body), wire.SyncRequest).held[0].seq == 1
    verdicts = [
        wire.Verdict(generation="g1", seq=2, verdict="held", code="price_mismatch", text="why"),
        wire.Verdict(generation="g1", seq=1, verdict="released", code="released", text=""),
    ]
    found = applied(desk.deliver(send, desk.answer(send, verdicts=verdicts)))
    assert found is not None
    assert found.held == (Hold(generation="g1", seq=2, code="price_mismatch", text="why"),)
    assert found.released == (Release(generation="g1", seq=1),)


def test_a_verdict_on_what_was_not_sent_is_an_alarm_and_left_out() -> None:
    desk = three()
    send = desk.send(records_max=2)
    verdicts = [wire.Verdict(generation="g1", seq=3, verdict="held", code="x", text="")]
    outcomes = desk.deliver(send, desk.answer(send, verdicts=verdicts))
    found = applied(outcomes)
    assert found is not None
    assert found.held == ()
    assert alarm_codes(outcomes) == ["verdict_beyond"]


@pytest.mark.parametrize("code", [302, 400, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504])
def test_no_http_error_holds_or_acknowledges_anything_even_a_signed_one(code: int) -> None:
    desk = three()
    for signed in (True, False):
        send = desk.send()
        verdicts = [wire.Verdict(generation="g1", seq=2, verdict="held", code="x", text="")]
        answer = desk.answer(send, verdicts=verdicts)
        outcomes = desk.deliver(send, answer, code=code) if signed else desk.refuse(code, body=wire.encode(answer))
        assert applied(outcomes) is None
        assert not desk.uploader.in_flight
    send = desk.send()
    assert applied(desk.deliver(send, desk.answer(send)))


def test_a_fork_begins_a_new_generation_once_and_calls_again_soon() -> None:
    desk = three()
    send = desk.send(records_max=2)
    outcomes = desk.deliver(send, desk.answer(send, fork=True))
    assert Forked(generation="g1") in outcomes
    assert isinstance(desk.uploader.next(desk.now_ms), AskBatch)
    desk.ledger.begin("g2")
    desk.ledger.cursor = 2
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, fork=True))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Forked)]


def test_a_tariff_is_passed_on_when_it_is_another_version() -> None:
    desk = three()
    new = Tariff(version=2, items={"AA": TariffItem(item_code="x", points=1)})
    send = desk.send()
    assert TariffIssued(tariff=new) in desk.deliver(send, desk.answer(send, tariff=new))
    same = Tariff(version=1, items={})
    desk.ledger.cursor = 3
    send = desk.send()
    assert TariffIssued(tariff=same) not in desk.deliver(send, desk.answer(send, tariff=same))


AA = TariffItem(item_code="x", points=1)
BAD_TARIFFS = [
    Tariff(version=2**63, items={"AA": AA}),
    Tariff(version=0, items={"AA": AA}),
    Tariff(version=2, items={}),
    Tariff(version=2, items={f"A{n}": AA for n in range(257)}),
    Tariff(version=2, items={"": AA}),
    Tariff(version=2, items={"A" * 65: AA}),
    Tariff(version=2, items={"AA": TariffItem(item_code="", points=1)}),
    Tariff(version=2, items={"AA": TariffItem(item_code="x\x00", points=1)}),
    Tariff(version=2, items={"AA": TariffItem(item_code="x", points=-1)}),
    Tariff(version=2, items={"AA": TariffItem(item_code="x", points=10**30)}),
    "dear",
    {"version": 2},
    {"version": "2", "items": {}},
]


@pytest.mark.parametrize("tariff", BAD_TARIFFS)
def test_a_tariff_that_makes_no_sense_is_an_alarm_and_the_acknowledgement_counts(tariff: object) -> None:
    desk = three()
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, tariff=tariff))
    found = applied(outcomes)
    assert found is not None
    assert found.seq == 3
    assert Online() in outcomes
    assert not [outcome for outcome in outcomes if isinstance(outcome, TariffIssued)]
    assert alarm_codes(outcomes) == ["bad_tariff"]


@pytest.mark.parametrize(
    "change",
    [
        {"server_time_ms": 2**63},
        {"server_time_ms": 253_402_300_800_000},
        {"server_time_ms": -1},
        {"next_call_ms": 2**63},
        {"ack": wire.Ack(generation="g1", acked_seq=2**63, acked_hash="00" * 32)},
        {"verdicts": [wire.Verdict(generation="g1", seq=2**63, verdict="held", code="c", text="t")]},
    ],
)
def test_a_number_that_fits_no_database_and_no_calendar_is_a_bad_answer(change: dict[str, Any]) -> None:
    desk = three()
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, **change))
    assert (applied(outcomes), alarm_codes(outcomes)) == (None, ["bad_answer"])


# --- foreign answers ------------------------------------------------------------------------------------------------


def test_late_doubled_and_foreign_answers_change_nothing() -> None:
    desk = three()
    first = desk.send()
    good = _signed(desk, first, desk.answer(first))
    assert desk.uploader.failed("lost", desk.now_ms)
    assert desk.uploader.answered(*good, desk.now_ms) == [], "nothing is in flight"
    second = desk.send()
    assert alarm_codes(desk.uploader.answered(*good, desk.now_ms)) == ["foreign_answer"], "late"
    for outcomes in (
        desk.deliver(second, desk.answer(second), key=FOREIGN_KEY),
        desk.deliver(second, desk.answer(second), nonce="00"),
        desk.refuse(200, body=wire.encode(desk.answer(second))),
        desk.refuse(200, {"Kiosk-Signature": "nonsense"}),
    ):
        assert outcomes == [], "the alarm was given"
        assert desk.uploader.in_flight
    assert applied(desk.deliver(second, desk.answer(second)))
    assert desk.deliver(second, desk.answer(second)) == [], "doubled"


def test_a_signed_answer_that_cannot_be_read_or_repeats_another_nonce_is_an_alarm() -> None:
    desk = three()
    send = desk.send()
    outcomes = desk.deliver(send, b"{}")
    assert (applied(outcomes), alarm_codes(outcomes)) == (None, ["bad_answer"])
    send = desk.send()
    outcomes = desk.deliver(send, desk.answer(send, nonce="other"))
    assert (applied(outcomes), alarm_codes(outcomes)) == (None, [])
    assert Offline(trouble="the server's answer repeats another nonce") in outcomes


def test_an_alarm_is_given_once_until_an_answer_is_believed_again() -> None:
    desk = three()
    for expected in (["bad_answer"], []):
        assert alarm_codes(desk.deliver(desk.send(), b"{}")) == expected
    send = desk.send()
    desk.deliver(send, desk.answer(send))
    assert alarm_codes(desk.deliver(desk.send(), b"{}")) == ["bad_answer"]


# --- 401 ------------------------------------------------------------------------------------------------------------


def fresh(nonce: str) -> wire.Refused:
    return wire.Refused(error="stale", next_nonce=nonce)


def test_a_401_with_a_fresh_nonce_is_retried_at_once_and_says_nothing() -> None:
    desk = three()
    assert desk.deliver(desk.send(), fresh("n1"), code=401) == []
    assert isinstance(desk.uploader.next(desk.now_ms), AskBatch)
    assert desk.send().headers["Kiosk-Server-Nonce"] == "n1"


def test_401_again_and_again_is_an_alarm_yet_retried_for_ever_with_the_newest_nonce() -> None:
    desk = three()
    desk.deliver(desk.send(), fresh("n0"), code=401)
    seen = []
    for n in range(200):
        send = desk.send()
        assert send.headers["Kiosk-Server-Nonce"] == f"n{n}"
        seen += desk.deliver(send, fresh(f"n{n + 1}"), code=401)
    assert alarm_codes(seen) == ["http_401"]
    assert seen[0] == Offline(trouble="the server answers HTTP 401")
    send = desk.send()
    assert Online() in desk.deliver(send, desk.answer(send))


def test_a_401_that_nobody_signed_gives_no_nonce_and_is_not_retried_at_once() -> None:
    desk = three()
    desk.deliver(desk.send(), fresh("n1"), code=401)
    for _ in range(3):
        desk.send()
        desk.refuse(401, body=wire.encode(fresh("evil")))
    assert desk.send().headers["Kiosk-Server-Nonce"] == "n1"
    desk.refuse(401, {"Retry-After": "100"})
    assert desk.due_ms() == desk.now_ms + 100_000


def test_after_other_trouble_a_stale_nonce_is_again_replaced_at_once() -> None:
    desk = three()
    desk.deliver(desk.send(), fresh("n1"), code=401)
    desk.send()
    desk.refuse(503)
    assert desk.deliver(desk.send(), fresh("n2"), code=401) == []
    desk.send()
    desk.uploader.failed("cut off", desk.now_ms)
    assert desk.deliver(desk.send(), fresh("n3"), code=401) == []


def test_403_is_an_alarm_and_retried_for_ever() -> None:
    desk = three()
    seen: list[Outcome] = []
    for _ in range(100):
        desk.send()
        seen += desk.refuse(403, body=b"who are you")
    assert seen == [
        Offline(trouble="the server answers HTTP 403"),
        Alarm(code="http_403", text="the server answers HTTP 403: who are you"),
    ]


def test_asking_for_patience_is_no_alarm() -> None:
    desk = three()
    for code in (408, 425, 429, 500, 503):
        desk.send()
        assert alarm_codes(desk.refuse(code)) == []


# --- when -----------------------------------------------------------------------------------------------------------


def test_back_off_is_exponential_with_full_jitter_bounded_and_unlimited() -> None:
    firsts, lasts = [], []
    for seed in range(60):
        desk = Desk(chains(deposit("i1")), seed=seed)
        waits = []
        for _ in range(40):
            desk.send()
            before = desk.now_ms
            desk.uploader.failed("no route", before)
            waits.append(desk.due_ms() - before)
        firsts.append(waits[0])
        lasts += waits[12:]
        for attempt, wait in enumerate(waits):
            assert 0 <= wait <= min(1_000 << attempt, BACK_OFF_MS_MAX)
    assert min(firsts) < 100
    assert max(firsts) > 900
    assert min(lasts) < BACK_OFF_MS_MAX // 20
    assert max(lasts) > BACK_OFF_MS_MAX * 19 // 20


def test_a_believed_answer_ends_the_back_off() -> None:
    desk = three()
    for _ in range(12):
        desk.send()
        desk.uploader.failed("no route", desk.now_ms)
    send = desk.send()
    desk.deliver(send, desk.answer(send))
    desk.send()
    desk.uploader.failed("no route", desk.now_ms)
    assert desk.due_ms() <= desk.now_ms + 1_000


def test_offline_is_said_once_for_each_reason() -> None:
    desk = three()
    said = []
    for reason in ("no route", "no route", "TLS", "no route"):
        desk.send()
        said += desk.uploader.failed(reason, desk.now_ms)
    assert said == [Offline(trouble=reason) for reason in ("no route", "TLS", "no route")]


def test_new_records_hurry_a_heartbeat_but_not_a_back_off() -> None:
    desk = three()
    send = desk.send()
    desk.deliver(send, desk.answer(send))
    assert isinstance(desk.uploader.next(desk.now_ms), Wait)
    desk.uploader.poke()
    assert isinstance(desk.uploader.next(desk.now_ms), AskBatch)
    desk.send()
    desk.refuse(503, {"Retry-After": "60"})
    desk.uploader.poke()
    assert desk.uploader.next(desk.now_ms) == Wait(until_ms=desk.now_ms + 60_000)


def test_records_that_came_while_a_request_was_in_flight_go_at_once() -> None:
    desk = three()
    send = desk.send()
    desk.ledger.add(deposit("i3"))
    desk.uploader.poke()
    desk.deliver(send, desk.answer(send))
    assert isinstance(desk.uploader.next(desk.now_ms), AskBatch)


def test_with_nothing_to_send_it_still_calls_when_the_server_said() -> None:
    desk = three()
    send = desk.send()
    found = applied(desk.deliver(send, desk.answer(send, next_call_ms=5_000)))
    assert found is not None
    desk.ledger.apply(found)
    before = desk.now_ms
    send = desk.send()
    assert desk.now_ms == before + 5_000
    assert wire.decode(wire.unpack(send.body), wire.SyncRequest).records == []
    outcomes = desk.deliver(send, desk.answer(send))
    assert applied(outcomes) == Apply(generation="g1", seq=3, hash=desk.ledger.records[-1].hash)
    assert Online() not in outcomes


@pytest.mark.parametrize(("asked_ms", "due_ms"), [(0, 1_000), (10**15, NEXT_CALL_MS_MAX)])
def test_the_server_decides_when_to_call_within_reason(asked_ms: int, due_ms: int) -> None:
    desk = three()
    send = desk.send()
    desk.deliver(send, desk.answer(send, next_call_ms=asked_ms))
    assert desk.due_ms() == desk.now_ms + due_ms


def test_a_request_that_is_too_large_is_halved_down_to_one_record() -> None:
    desk = three()
    sizes = []
    for _ in range(12):
        command = desk.uploader.next(desk.due_ms())
        assert isinstance(command, AskBatch)
        sizes.append(command.records_max)
        desk.send()
        desk.refuse(413)
        desk.now_ms = desk.due_ms()
    assert sizes == [500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1, 1]


def test_what_was_not_asked_for_is_a_programming_error() -> None:
    desk = three()
    with pytest.raises(AssertionError):
        desk.uploader.batch(desk.ledger.batch(), status(), STAMP, 0)
    with pytest.raises(AssertionError):
        desk.uploader.failed("x", 0)
    with pytest.raises(AssertionError):
        desk.uploader.own_hash(None, 0)
