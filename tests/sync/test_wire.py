from __future__ import annotations

import hashlib
import zlib
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import wire
from sync.records import ZERO_HASH, Head, Record, Stamp
from sync.wire import WireError
from tests.sync.sync_making import STAMP, chains, deposit, status

KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
"""RFC 8032, 7.1, test 1."""


def request(**changes: Any) -> wire.SyncRequest:
    records = chains(deposit("i1")).records
    head = wire.WireHead(generation="g1", seq=2, hash=records[-1].hash.hex())
    values: dict[str, Any] = {
        "nonce": "n",
        "stamp": STAMP,
        "status": status(),
        "head": head,
        "generations": ["g1"],
        "records": [wire.to_wire(record) for record in records],
        "held": [],
        "disbelieved": None,
    }
    return wire.SyncRequest(**(values | changes))


def test_a_request_survives_the_wire() -> None:
    sent = request()
    assert wire.decode(wire.unpack(wire.pack(wire.encode(sent))), wire.SyncRequest) == sent


@pytest.mark.parametrize(
    "body",
    [b"", b'{"a": 1 }', '{"名":"电池\\u0000"}'.encode(), b"\x00\x01", b"\xff\xfe not UTF-8", bytes(range(256))],
)
def test_a_body_is_carried_byte_for_byte(body: bytes) -> None:
    stamp = Stamp(boot_id="b", mono_ms=1, wall_ms=2, clock="trusted")
    record = Record(generation="g", seq=1, kind="deposit", stamp=stamp, body=body, hash=ZERO_HASH)
    sent = wire.encode(request(records=[wire.to_wire(record)]))
    assert wire.from_wire(wire.decode(sent, wire.SyncRequest).records[0]) == record


def test_a_head_is_sent_as_it_is() -> None:
    head = Head(generation="g", seq=0, hash=ZERO_HASH.hex())
    assert wire.to_wire_head(head) == wire.WireHead(generation="g", seq=0, hash="00" * 32)


def test_unknown_fields_are_ignored_so_that_either_side_may_be_newer() -> None:
    newer = wire.encode(request()).replace(b'{"nonce"', b'{"later":[1],"nonce"')
    assert wire.decode(newer, wire.SyncRequest) == request()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"x":' + b"[" * 200_000,
        wire.encode(request()).replace(b'"nonce":"n"', b'"nonce":"a b"'),
        wire.encode(request()).replace(b'"nonce":"n"', b'"nonce":"n\\n"'),
        wire.encode(request()).replace(b'"mono_ms":1000,"wall_ms":null,"clock":"unsure","hash"', b'"hash"'),
        wire.encode(request()).replace(b'"hash":"', b'"hash":"X'),
        wire.encode(request()).replace(b'"seq":2', b'"seq":9223372036854775808'),
        wire.encode(request(records=[request().records[0]] * (wire.RECORDS_MAX + 1))),
    ],
)
def test_what_is_no_request_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError, match="not a SyncRequest"):
        wire.decode(data, wire.SyncRequest)


def test_packing_is_deterministic_gzip() -> None:
    assert wire.pack(b"abc") == wire.pack(b"abc")
    assert zlib.decompress(wire.pack(b"abc"), wbits=31) == b"abc"


@pytest.mark.parametrize(
    ("packed", "status", "words"),
    [
        (b"no gzip", 400, "not gzip"),
        (b"", 400, "ends early"),
        (wire.pack(b"abc")[:-1], 400, "ends early"),
        (wire.pack(b"abc") + b"x", 400, "more behind"),
        (wire.pack(b"abc") + wire.pack(b"abc"), 400, "more behind"),
        (wire.pack(bytes(wire.PLAIN_BYTES_MAX + 1)), 413, "unpacked"),
        (bytes(wire.PACKED_BYTES_MAX + 1), 413, "packed"),
    ],
)
def test_what_cannot_be_unpacked_within_bounds_is_a_wire_error(packed: bytes, status: int, words: str) -> None:
    with pytest.raises(WireError, match=words) as caught:
        wire.unpack(packed)
    assert caught.value.status == status


def test_as_much_as_is_allowed_is_unpacked() -> None:
    assert len(wire.unpack(wire.pack(bytes(wire.PLAIN_BYTES_MAX)))) == wire.PLAIN_BYTES_MAX


def test_what_is_signed_is_fixed_to_the_letter() -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    assert wire.sync_path("bin-1") == "/v1/bins/bin-1/sync"
    assert (
        wire.request_signing_input("POST", "/p", b"body", "nonce")
        == f"kiosk-request-1\nPOST\n/p\n{digest}\nnonce".encode()
    )
    assert wire.answer_signing_input(200, "nonce", b"body") == f"kiosk-answer-1\n200\nnonce\n{digest}".encode()


def test_signatures_agree_with_the_published_vector() -> None:
    expected = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )
    assert wire.from_base64(wire.sign(KEY, b"")).hex() == expected


def test_a_signature_counts_for_its_key_and_bytes_only() -> None:
    signature = wire.sign(KEY, b"data")
    assert wire.verified(KEY.public_key(), signature, b"data")
    assert not wire.verified(KEY.public_key(), signature, b"date")
    assert not wire.verified(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key(), signature, b"data")
    for nonsense in ("", "AAAA", "no base64!", "é"):
        assert not wire.verified(KEY.public_key(), nonsense, b"data")


def test_a_public_key_is_32_bytes_in_base64() -> None:
    text = wire.public_key_text(KEY.public_key())
    assert wire.public_key_from(text).public_bytes_raw() == KEY.public_key().public_bytes_raw()
    for nonsense in ("AAAA", "!"):
        with pytest.raises(WireError):
            wire.public_key_from(nonsense)


def test_headers_are_found_whatever_their_case() -> None:
    assert wire.header_of({"A": "1", "KIOSK-Signature": "2"}, wire.SIGNATURE_HEADER) == "2"
    assert wire.header_of({}, wire.SIGNATURE_HEADER) == ""


def test_an_answer_survives_the_wire() -> None:
    answer = wire.SyncAnswer(
        nonce="n",
        next_nonce="m",
        ack=wire.Ack(generation="g", acked_seq=0, acked_hash=ZERO_HASH.hex()),
        verdicts=[wire.Verdict(generation="g", seq=1, verdict="held", code="c", text="t")],
        fork=False,
        tariff=None,
        server_time_ms=1,
        next_call_ms=2,
    )
    assert wire.decode(wire.encode(answer), wire.SyncAnswer) == answer
    odd = msgspec.json.encode(answer).replace(b'"held"', b'"eaten"')
    with pytest.raises(WireError):
        wire.decode(odd, wire.SyncAnswer)
