from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import wire
from sync.identity import Identity, read_enrol_answer
from sync.points_server.server import PointsServer
from sync.points_server.tariffs import DEFAULT_TARIFF
from sync.records import ZERO_HASH, Head, Record, Tariff, TariffItem, chain_hash, encode_body, kind_of
from sync.tariff_bounds import POINTS_MAX
from tests.sync.sync_making import (
    NOW_MS,
    STAMP,
    Bin,
    Chains,
    ask_to_enrol,
    chains,
    deposit,
    enrolled,
    follow,
    head_of,
    make_server,
    started,
    status,
)


def credited(server: PointsServer) -> dict[str, int]:
    """Points by item; an item posted twice is an error here."""
    lines = [line for line in server.journal() if line.account != "programme"]
    assert len({line.item_id for line in lines}) == len(lines)
    assert sum(line.points for line in server.journal()) == 0
    return {line.item_id: line.points for line in lines}


def alarms(server: PointsServer) -> set[str]:
    return {alarm["code"] for alarm in server.overview(0)["alarms"]}


def decoded(body: bytes) -> wire.SyncAnswer:
    return wire.decode(body, wire.SyncAnswer)


def test_a_deposit_is_paid_once_and_the_journal_sums_to_zero() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1"), deposit("i2", count=2, points=20)))
    bin_.sync()
    assert credited(server) == {"i1": 10, "i2": 20}
    assert [line.points for line in server.journal()] == [10, -10, 20, -20]
    assert [reply.status for reply in bin_.replies] == [401, 200]


def test_the_same_batch_twice_pays_once() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    bin_.ledger.cursor = 0
    answer = bin_.sync()
    assert answer.ack.acked_seq == 2
    assert credited(server) == {"i1": 10}
    assert server.overview(0)["totals"]["records"] == 2


def test_an_unpaid_deposit_posts_zero() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1", points=0, unpaid=True)))
    bin_.sync()
    assert credited(server) == {"i1": 0}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (deposit("i", points=11), "price_mismatch"),
        (deposit("i", points=10, count=2), "price_mismatch"),
        (deposit("i", points=0, count=0), "price_mismatch"),
        (deposit("i", points=-10, count=-1), "price_mismatch"),
        (deposit("i", points=1_010, count=101), "price_mismatch"),
        (deposit("i", points=10, unpaid=True), "price_mismatch"),
        (deposit("i", item_code="B01-01"), "price_mismatch"),
        (deposit("i", battery_class="AAAA"), "price_mismatch"),
        (deposit("i", tariff_version=2), "unknown_tariff"),
        (deposit("i", tariff_version=2**80), "unknown_tariff"),
        (deposit("i\x00"), "unparsable"),
        (deposit(""), "unparsable"),
        (deposit("i", ref="r" * 300), "unparsable"),
    ],
)
def test_a_price_that_was_never_issued_is_held_and_never_repriced(body: object, code: str) -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(body, deposit("after")))  # type: ignore[arg-type]
    answer = bin_.sync()
    assert [(verdict.seq, verdict.verdict, verdict.code) for verdict in answer.verdicts] == [(2, "held", code)]
    assert credited(server) == {"after": 10}
    assert bin_.ledger.held == {("g1", 2): code}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"kind":"telepathy"}', b'{"kind":"boot","version":"1","cap_ms":0}', b"[" * 60_000],
)
def test_a_body_that_cannot_be_read_is_stored_held_and_the_chain_stays_whole(body: bytes) -> None:
    server = make_server()
    ledger = chains()
    ledger.add_raw(body, "deposit")
    ledger.add(deposit("after"))
    bin_ = Bin(server, enrolled(server), ledger)
    answer = bin_.sync()
    assert answer.ack.acked_hash == ledger.records[-1].hash.hex()
    assert ledger.held == {("g1", 2): "unparsable"}
    assert credited(server) == {"after": 10}


def test_a_verdict_is_repeated_on_every_resend_until_released_and_then_released_is() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1", points=11)))
    bin_.sync()
    for _ in range(2):
        bin_.ledger.cursor = 0
        assert [verdict.verdict for verdict in bin_.sync().verdicts] == ["held"]
    server.release("bin-1", "g1", 2, NOW_MS)
    assert credited(server) == {"i1": 11}
    bin_.ledger.cursor = 0
    assert [verdict.verdict for verdict in bin_.sync().verdicts] == ["released"]
    assert bin_.ledger.held == {}


def test_a_release_reaches_the_bin_with_its_next_heartbeat() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1", points=11)))
    bin_.sync()
    server.release("bin-1", "g1", 2, NOW_MS)
    assert bin_.sync().verdicts[0].verdict == "released"
    assert bin_.ledger.held == {}
    assert bin_.sync().verdicts == []


def test_what_is_not_held_cannot_be_released() -> None:
    server = make_server()
    ledger = chains(deposit("i1"), deposit("i1"))
    ledger.add_raw(b"{", "deposit")
    ledger.add_raw(b"{", "boot")
    ledger.add_raw(encode_body(deposit("i9")), "boot")
    ledger.add_raw(encode_body(started()), "deposit")
    Bin(server, enrolled(server), ledger).sync()
    assert ledger.held == {("g1", 3): "item_repeated", **{("g1", seq): "unparsable" for seq in (4, 5, 6, 7)}}
    for seq, words in (
        (2, "not held"),
        (3, "paid under another identity"),
        (4, "cannot be read"),
        (7, "no deposit"),
        (9, "not held"),
    ):
        with pytest.raises(ValueError, match=words):
            server.release("bin-1", "g1", seq, NOW_MS)
    assert credited(server) == {"i1": 10}


@pytest.mark.parametrize("points", [-5, POINTS_MAX + 1, 2**63, 10**30])
def test_points_that_no_tariff_could_give_are_never_released(points: int) -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1", points=points)))
    bin_.sync()
    with pytest.raises(ValueError, match="only 0 to 1000000 can be paid; it stays held"):
        server.release("bin-1", "g1", 2, NOW_MS)
    assert server.journal() == []
    assert bin_.sync().verdicts == []
    assert list(bin_.ledger.held) == [("g1", 2)]


@pytest.mark.parametrize(
    "previous",
    [
        Head(generation="g0", seq=10**30, hash="00" * 32),
        Head(generation="g0", seq=-1, hash="00" * 32),
        Head(generation="g0", seq=1, hash="x"),
        Head(generation="g\x00", seq=1, hash="00" * 32),
    ],
)
def test_a_generation_that_follows_on_nonsense_is_taken_as_following_on_nothing(previous: Head) -> None:
    server = make_server()
    ledger = Chains(records=[follow(None, "g1", encode_body(started(previous)), "generation_started")])
    ledger.add(deposit("i1"))
    Bin(server, enrolled(server), ledger).sync()
    assert credited(server) == {"i1": 10}


def test_a_broken_chain_is_refused_from_there_and_what_is_good_is_acknowledged() -> None:
    server = make_server()
    ledger = chains(deposit("i1"), deposit("i2"), deposit("i3"))
    broken = ledger.records[2]
    ledger.records[2] = msgspec.structs.replace(broken, body=encode_body(deposit("i2", points=99)))
    bin_ = Bin(server, enrolled(server), ledger)
    bin_.exchange()
    answer = decoded(bin_.exchange().body)
    assert (answer.ack.acked_seq, ledger.cursor) == (2, 2)
    assert decoded(bin_.exchange().body).ack.acked_seq == 2
    assert credited(server) == {"i1": 10}
    assert alarms(server) == {"chain_broken"}
    ledger.records[2] = broken
    bin_.sync()
    assert credited(server) == {"i1": 10, "i2": 10, "i3": 10}


def test_a_chain_broken_at_its_first_record_is_refused() -> None:
    server = make_server()
    ledger = chains(deposit("i1"))
    ledger.records[0] = msgspec.structs.replace(ledger.records[0], body=b"{}")
    bin_ = Bin(server, enrolled(server), ledger)
    bin_.exchange()
    assert decoded(bin_.exchange().body).ack.acked_seq == 0
    assert alarms(server) == {"chain_broken"}


def test_a_restored_server_acknowledges_lower_gets_everything_again_and_pays_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/points.db"
    server = make_server(url=url)
    identity = enrolled(server)
    bin_ = Bin(server, identity, chains(*(deposit(f"i{n}") for n in range(10))))
    bin_.sync()
    server.close()
    backup = (tmp_path / "points.db").read_bytes()
    bin_.server = server = make_server(url=url)
    for n in range(10, 30):
        bin_.ledger.add(deposit(f"i{n}"))
    bin_.sync()
    bin_.ledger.begin("g2")
    bin_.ledger.add(deposit("i30"))
    bin_.ledger.begin("g3")
    bin_.ledger.add(deposit("i31"))
    bin_.sync()
    server.close()
    (tmp_path / "points.db").write_bytes(backup)
    bin_.server = server = make_server(url=url)
    bin_.records_max = 7
    bin_.ledger.add(deposit("i32"))
    cursors = []
    while bin_.ledger.cursor < len(bin_.ledger.records):
        bin_.exchange()
        cursors.append(bin_.ledger.cursor)
    assert 11 in cursors, "it went back no further than it had to"
    assert 0 not in cursors
    assert credited(server) == {f"i{n}": 10 for n in range(33)}
    assert not bin_.ledger.held


def test_an_idle_bin_notices_a_restored_server_by_its_heartbeat(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/points.db"
    server = make_server(url=url)
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    server.close()
    backup = (tmp_path / "points.db").read_bytes()
    bin_.server = server = make_server(url=url)
    bin_.ledger.add(deposit("i2"))
    bin_.sync()
    server.close()
    (tmp_path / "points.db").write_bytes(backup)
    bin_.server = make_server(url=url)
    bin_.sync()
    assert credited(bin_.server) == {"i1": 10, "i2": 10}


def test_a_generation_that_the_bin_has_no_more_is_an_alarm_and_blocks_nothing() -> None:
    server = make_server()
    lost = chains(deposit("lost"))
    ledger = chains()
    body = started(head_of(lost.records[-1]))
    first = Record(generation="g2", seq=1, kind=kind_of(body), stamp=STAMP, body=encode_body(body), hash=b"")
    first = msgspec.structs.replace(first, hash=_hash(first))
    ledger.records = [first]
    ledger.add(deposit("i1"))
    Bin(server, enrolled(server), ledger).sync()
    assert credited(server) == {"i1": 10}
    assert alarms(server) == {"generation_missing"}


def _hash(record: Record) -> bytes:
    return chain_hash(
        ZERO_HASH, generation=record.generation, seq=1, kind=record.kind, stamp=record.stamp, body=record.body
    )


# --- fork -----------------------------------------------------------------------------------------------------------


def test_the_same_identity_with_another_hash_is_a_fork_both_are_kept_and_the_bin_goes_on() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    older = bin_.ledger.copy()
    bin_.ledger.add(deposit("main-1"))
    bin_.ledger.add(deposit("main-2"))
    bin_.sync()
    bin_.ledger = older
    for n in range(5):
        bin_.ledger.add(deposit(f"fork-{n}"))
    bin_.records_max = 2
    bin_.sync()
    assert [record.generation for record in bin_.ledger.records] == ["g1"] * 7 + ["g2"]
    assert set(bin_.ledger.held.values()) == {"fork"}
    assert len(bin_.ledger.held) == 5
    assert "fork" in alarms(server)
    bin_.ledger.add(deposit("later"))
    bin_.sync()
    assert credited(server) == {"i1": 10, "main-1": 10, "main-2": 10, "later": 10}
    assert server.overview(0)["totals"]["records"] == 2 + 2 + 5 + 2
    branch = next(row["branch"] for row in server.overview(100)["records"] if row["branch"])
    server.release("bin-1", "g1", 3, NOW_MS, branch)
    assert credited(server)["fork-0"] == 10
    bin_.sync()
    assert ("g1", 3) not in bin_.ledger.held


def test_a_bin_that_went_back_is_told_so_before_it_uses_an_identity_again() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    older = bin_.ledger.copy()
    bin_.ledger.add(deposit("i2"))
    bin_.sync()
    bin_.ledger = older
    bin_.exchange()
    assert bin_.ledger.records[-1].generation == "g2"
    bin_.ledger.add(deposit("i3"))
    bin_.sync()
    assert credited(server) == {"i1": 10, "i2": 10, "i3": 10}
    assert bin_.ledger.held == {}


def test_two_histories_that_parted_where_neither_side_can_see_it_meet_again_at_the_beginning(tmp_path: Path) -> None:
    """The bin went back, forked and had the fork acknowledged; then the server went back to before the fork."""
    url = f"sqlite:///{tmp_path}/points.db"
    server = make_server(url=url)
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    older = bin_.ledger.copy()
    bin_.ledger.add(deposit("main-1"))
    bin_.ledger.add(deposit("main-2"))
    bin_.sync()
    server.close()
    backup = (tmp_path / "points.db").read_bytes()
    bin_.server = server = make_server(url=url)
    bin_.ledger = older
    bin_.ledger.add(deposit("fork-1"))
    bin_.ledger.add(deposit("fork-2"))
    bin_.sync()
    server.close()
    (tmp_path / "points.db").write_bytes(backup)
    bin_.server = server = make_server(url=url)
    bin_.sync()
    assert "ack_disbelieved" in alarms(server)
    assert credited(server) == {"i1": 10, "main-1": 10, "main-2": 10}
    assert sorted(bin_.ledger.held) == [("g1", 3), ("g1", 4)]


def test_a_server_that_went_back_within_a_fork_goes_back_to_where_both_histories_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/points.db"
    server = make_server(url=url)
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    older = bin_.ledger.copy()
    bin_.ledger.add(deposit("main-1"))
    bin_.ledger.add(deposit("main-2"))
    bin_.sync()
    bin_.ledger = older
    for n in range(3):
        bin_.ledger.add(deposit(f"fork-{n}"))
    bin_.records_max = 2
    bin_.exchange()
    assert bin_.ledger.cursor == 4
    server.close()
    backup = (tmp_path / "points.db").read_bytes()
    bin_.server = server = make_server(url=url)
    bin_.sync()
    server.close()
    (tmp_path / "points.db").write_bytes(backup)
    bin_.server = server = make_server(url=url)
    bin_.sync()
    assert alarms(server) == {"fork"}
    assert sorted(bin_.ledger.held) == [("g1", 3), ("g1", 4), ("g1", 5)]


def test_a_heartbeat_at_a_place_where_the_server_has_another_record_is_a_fork() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    bin_.ledger = chains(deposit("other"))
    bin_.ledger.cursor = 2
    bin_.sync()
    assert bin_.ledger.held == {("g1", 2): "fork"}
    assert bin_.ledger.records[-1].generation == "g2"


# --- who may speak --------------------------------------------------------------------------------------------------


def test_a_request_played_again_is_refused_and_says_nothing_new() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    send = bin_.sent[-1]
    reply = server.handle_sync(send.path, send.headers, send.body, NOW_MS)
    assert reply.status == 401


def test_a_nonce_is_good_for_an_hour_for_one_bin_and_only_from_here() -> None:
    server = make_server()
    one, two = enrolled(server), enrolled(server, "bin-2", seed=8)
    bin_ = Bin(server, one, chains(deposit("i1")))
    bin_.exchange()
    send = bin_.until_send()
    assert server.handle_sync(send.path, send.headers, send.body, NOW_MS + 3_600_001).status == 401
    assert server.handle_sync(send.path, send.headers, send.body, NOW_MS - 1).status == 401
    nonce = send.headers["Kiosk-Server-Nonce"]
    path = wire.sync_path("bin-2")
    signature = wire.sign(two.private_key, wire.request_signing_input("POST", path, send.body, nonce))
    headers = send.headers | {"Kiosk-Signature": signature}
    assert server.handle_sync(path, headers, send.body, NOW_MS).status == 401
    for made_up in ("", "zz", "1-2-3", f"{NOW_MS:x}-00-{'0' * 32}", "é-é"):
        signature = wire.sign(one.private_key, wire.request_signing_input("POST", send.path, send.body, made_up))
        headers = send.headers | {"Kiosk-Server-Nonce": made_up, "Kiosk-Signature": signature}
        assert server.handle_sync(send.path, headers, send.body, NOW_MS).status == 401
    assert server.journal() == []
    assert server.handle_sync(send.path, send.headers, send.body, NOW_MS).status == 200


def test_another_bins_signature_is_refused() -> None:
    server = make_server()
    one, two = enrolled(server), enrolled(server, "bin-2", seed=8)
    bin_ = Bin(server, one, chains(deposit("i1")))
    bin_.exchange()
    send = bin_.until_send()
    digest = wire.request_signing_input("POST", send.path, send.body, send.headers["Kiosk-Server-Nonce"])
    for signature in (wire.sign(two.private_key, digest), "", "AAAA", "not base64"):
        reply = server.handle_sync(send.path, send.headers | {"Kiosk-Signature": signature}, send.body, NOW_MS)
        assert reply.status == 401
    unknown = send.path.replace("bin-1", "bin-9")
    assert server.handle_sync(unknown, send.headers, send.body, NOW_MS).status == 401
    assert server.journal() == []


HELD = wire.encode(wire.WireHead(generation="g1", seq=1, hash="00" * 32))  # type: ignore[type-var]


def test_bytes_that_make_no_sense_are_a_4xx_and_never_a_5xx() -> None:
    server = make_server()
    identity = enrolled(server)
    bin_ = Bin(server, identity, chains(deposit("i1")))
    send = bin_.until_send()
    plain = wire.unpack(send.body)
    bomb = wire.pack(bytes(wire.PLAIN_BYTES_MAX + 1))
    assert len(bomb) < 20_000
    cases: list[tuple[bytes, int]] = [
        (b"", 400),
        (b"\x1f\x8b", 400),
        (plain, 400),
        (send.body[:-1], 400),
        (send.body + b"x", 400),
        (bomb, 413),
        (bytes(wire.PACKED_BYTES_MAX + 1), 413),
        (wire.pack(b""), 400),
        (wire.pack(b"{}"), 400),
        (wire.pack(b"\xff"), 400),
        (wire.pack(b'{"x":' + b"[" * 100_000), 400),
        (wire.pack(plain.replace(b'"seq":1', b'"seq":18446744073709551616')), 400),
        (wire.pack(plain.replace(b'"seq":1', b'"seq":0')), 400),
        (wire.pack(plain.replace(b'"held":[]', b'"held":[' + b",".join([HELD] * 1_001) + b"]")), 400),
        (wire.pack(plain.replace(b'"generation":"g1"', b'"generation":"\\ud800"')), 400),
    ]
    for body, expected in cases:
        reply = server.handle_sync(send.path, send.headers, body, NOW_MS)
        assert reply.status == expected, body[:40]
        assert wire.decode(reply.body, wire.Refused).error
        assert server.handle_enrol(send.headers, body, NOW_MS).status == expected
    assert server.handle_sync(send.path, {}, send.body, NOW_MS).status == 415
    assert server.handle_sync("/v1/bins/a/b/sync", send.headers, send.body, NOW_MS).status == 404


@pytest.mark.parametrize("change", ["gap", "generation", "base64", "body and base64"])
def test_a_signed_request_that_contradicts_itself_is_a_signed_400_and_costs_no_nonce(change: str) -> None:
    server = make_server()
    identity = enrolled(server)
    bin_ = Bin(server, identity, chains(deposit("i1"), deposit("i2")))
    bin_.exchange()
    send = bin_.until_send()
    request = wire.decode(wire.unpack(send.body), wire.SyncRequest)
    records = list(request.records)
    if change == "gap":
        del records[1]
    elif change == "generation":
        records[1] = msgspec.structs.replace(records[1], generation="g2")
    else:
        records[1] = msgspec.structs.replace(records[1], body_base64="!")
    body = wire.pack(wire.encode(msgspec.structs.replace(request, records=records)))
    digest = wire.request_signing_input("POST", send.path, body, send.headers["Kiosk-Server-Nonce"])
    headers = send.headers | {"Kiosk-Signature": wire.sign(identity.private_key, digest)}
    reply = server.handle_sync(send.path, headers, body, NOW_MS)
    assert reply.status == 400
    assert wire.verified(
        server.public_key, reply.headers["Kiosk-Signature"], wire.answer_signing_input(400, request.nonce, reply.body)
    )
    assert server.handle_sync(send.path, send.headers, send.body, NOW_MS).status == 200


def _query_only(server: PointsServer, on: bool) -> None:
    connection = server._engine.raw_connection()
    connection.cursor().execute(f"PRAGMA query_only = {int(on)}")
    connection.close()


def test_a_database_that_does_not_work_is_a_503_with_retry_after_and_nothing_is_half_done(tmp_path: Path) -> None:
    server = make_server(url=f"sqlite:///{tmp_path}/points.db")
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.exchange()
    send = bin_.until_send()
    code = server.add_bin("bin-2")
    _query_only(server, True)
    reply = server.handle_sync(send.path, send.headers, send.body, NOW_MS)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
    assert ask_to_enrol(server, _key(8), code)[0].status == 503
    _query_only(server, False)
    assert server.handle_sync(send.path, send.headers, send.body, NOW_MS).status == 200
    assert credited(server) == {"i1": 10}


def test_the_database_flushes_before_it_acknowledges(tmp_path: Path) -> None:
    server = make_server(url=f"sqlite:///{tmp_path}/points.db")
    connection = server._engine.raw_connection().cursor()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    with sqlite3.connect(f"file:{tmp_path}/points.db?mode=ro", uri=True) as other:
        assert other.execute("SELECT count(*) FROM records").fetchone() == (2,)


# --- enrolment ------------------------------------------------------------------------------------------------------


def _key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(random.Random(seed).randbytes(32))


def test_enrolment_is_idempotent_for_one_key_refused_for_another_and_final_after_the_first_sync() -> None:
    server = make_server()
    code = server.add_bin("bin-1")
    first, _ = ask_to_enrol(server, _key(7), code)
    again, _ = ask_to_enrol(server, _key(7), code)
    assert (first.status, again.status) == (200, 200)
    assert wire.decode(first.body, wire.EnrolAnswer).bin_id == "bin-1"
    assert ask_to_enrol(server, _key(8), code)[0].status == 403
    assert ask_to_enrol(server, _key(8), "wrong")[0].status == 403
    reply, nonce = ask_to_enrol(server, _key(7), code)
    answer = read_enrol_answer(reply.status, reply.headers["Kiosk-Signature"], reply.body, nonce)
    identity = Identity(
        bin_id="bin-1",
        private_key=_key(7),
        server_url="",
        server_public_key=wire.public_key_from(answer.server_public_key),
        programme_key_id="",
        programme_key=b"",
        programme_salt=b"",
    )
    Bin(server, identity, chains()).sync()
    assert ask_to_enrol(server, _key(7), code)[0].status == 403
    with pytest.raises(ValueError, match="has synced"):
        server.add_bin("bin-1")


def test_a_code_is_void_once_another_was_made() -> None:
    server = make_server()
    old, new = server.add_bin("bin-1"), server.add_bin("bin-1")
    assert ask_to_enrol(server, _key(7), old)[0].status == 403
    assert ask_to_enrol(server, _key(7), new)[0].status == 200


def test_one_key_is_one_bin() -> None:
    server = make_server()
    assert ask_to_enrol(server, _key(7), server.add_bin("bin-1"))[0].status == 200
    assert ask_to_enrol(server, _key(7), server.add_bin("bin-2"))[0].status == 403


def test_only_the_owner_of_a_key_may_enrol_it() -> None:
    server = make_server()
    request = wire.EnrolRequest(
        nonce="n", code=server.add_bin("bin-1"), public_key=wire.public_key_text(_key(7).public_key())
    )
    body = wire.pack(wire.encode(request))
    signature = wire.sign(_key(8), wire.request_signing_input("POST", wire.ENROL_PATH, body, ""))
    headers = {"Content-Encoding": "gzip", "Kiosk-Signature": signature}
    assert server.handle_enrol(headers, body, NOW_MS).status == 401


def test_a_bins_name_fits_into_a_path() -> None:
    server = make_server()
    for name in ("", "a/b", "a b", "x" * 65):
        with pytest.raises(ValueError, match="named by"):
            server.add_bin(name)


# --- tariffs --------------------------------------------------------------------------------------------------------


def _tariff(version: int, points: int) -> Tariff:
    return Tariff(version=version, items={"AA": TariffItem(item_code="B01-02", points=points)})


def test_a_bin_is_given_the_current_tariff_once_and_every_version_stays_payable() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.tariff_version = None
    assert wire.tariff_of(bin_.sync()) == DEFAULT_TARIFF
    assert bin_.sync().tariff is None
    server.add_tariff(_tariff(2, 30))
    bin_.ledger.add(deposit("i2"))
    bin_.sync()
    assert bin_.tariff == _tariff(2, 30)
    bin_.ledger.add(deposit("i3", points=30, tariff_version=2))
    bin_.ledger.add(deposit("i4"))
    bin_.sync()
    assert credited(server) == {"i1": 10, "i2": 10, "i3": 30, "i4": 10}


def test_a_version_never_changes_its_meaning() -> None:
    server = make_server()
    server.add_tariff(_tariff(3, 30))
    server.add_tariff(_tariff(3, 30))
    for tariff in (_tariff(3, 31), _tariff(2, 30)):
        with pytest.raises(ValueError, match="only go up"):
            server.add_tariff(tariff)


def test_what_was_held_for_a_forgotten_tariff_is_paid_when_the_server_knows_it_again() -> None:
    """The server was restored to before the tariff was set, and the operator sets it again."""
    server = make_server()
    wrong = deposit("i3", points=31, tariff_version=2)
    bin_ = Bin(server, enrolled(server), chains(deposit("i1", points=30, tariff_version=2), deposit("i2"), wrong))
    bin_.ledger.add(deposit("i4", tariff_version=9))
    bin_.sync()
    assert list(bin_.ledger.held.values()) == ["unknown_tariff"] * 3
    server.add_tariff(_tariff(2, 30))
    bin_.sync()
    assert credited(server) == {"i1": 30, "i2": 10}
    assert sorted(bin_.ledger.held) == [("g1", 4), ("g1", 5)]


def test_an_item_held_under_two_identities_is_paid_once_when_its_tariff_is_known_again() -> None:
    server = make_server()
    twice = [deposit("i1", points=30, tariff_version=2) for _ in range(2)]
    bin_ = Bin(server, enrolled(server), chains(*twice))
    bin_.sync()
    assert list(bin_.ledger.held.values()) == ["unknown_tariff"] * 2
    server.add_tariff(_tariff(2, 30))
    bin_.ledger.cursor = 0
    bin_.sync()
    assert credited(server) == {"i1": 30}
    assert bin_.ledger.held == {("g1", 3): "item_repeated"}


def test_an_item_that_was_released_is_not_paid_again_when_its_tariff_is_known_again() -> None:
    server = make_server()
    twice = [deposit("i1", points=30, tariff_version=2) for _ in range(2)]
    bin_ = Bin(server, enrolled(server), chains(*twice))
    bin_.sync()
    server.release("bin-1", "g1", 2, NOW_MS)
    server.add_tariff(_tariff(2, 30))
    bin_.ledger.cursor = 0
    bin_.sync()
    assert credited(server) == {"i1": 30}
    assert bin_.ledger.held == {("g1", 3): "item_repeated"}


def test_an_item_that_was_paid_in_an_earlier_request_is_not_paid_under_another_identity() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.sync()
    bin_.ledger.add(deposit("i1"))
    bin_.sync()
    assert credited(server) == {"i1": 10}
    assert bin_.ledger.held == {("g1", 3): "item_repeated"}


def test_a_class_without_a_line_is_paid_by_the_line_other_at_bin_and_server_alike() -> None:
    other = TariffItem(item_code="B01-99", points=2)
    tariff = Tariff(version=2, items={"AA": TariffItem(item_code="B01-02", points=5), "other": other})
    assert tariff.item_for("C") == other
    assert tariff.item_for("AA") != other
    assert Tariff(version=3, items={}).item_for("AA") is None
    server = make_server()
    server.add_tariff(tariff)
    bin_ = Bin(server, enrolled(server), chains())
    bin_.tariff_version = None
    bin_.sync()
    bin_.ledger.add(deposit("i1", battery_class="C", item_code="B01-99", points=2, tariff_version=2))
    bin_.sync()
    assert credited(server) == {"i1": 2}


def test_the_default_tariff_has_a_price_for_every_class() -> None:
    assert set(DEFAULT_TARIFF.items) == {"AAA", "AA", "C", "D", "9V", "18650", "coin", "other"}


def test_the_status_of_a_bin_is_kept_for_the_operator() -> None:
    server = make_server()
    Bin(server, enrolled(server), chains(deposit("i1"))).sync()
    overview = server.overview(1)
    assert overview["bins"][0]["status"] == msgspec.to_builtins(status())
    assert len(overview["records"]) == len(overview["journal"]) == 1
    assert overview["totals"] == {
        "records": 2,
        "deposits": 1,
        "credited": 1,
        "points": 10,
        "held": 0,
        "journal_sum": 0,
    }
