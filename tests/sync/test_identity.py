from __future__ import annotations

import json
import random
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import identity, wire
from sync.identity import Identity, IdentityError
from sync.points_server.server import PointsServer, Reply
from sync.wire import WireError
from tests.sync.sync_making import NOW_MS, make_server


class Far:
    """A points server's enrolment behind real HTTP; ``lose`` answers are made and thrown away."""

    def __init__(self) -> None:
        self.server: PointsServer = make_server()
        self.lose = 0
        self.spoil: Any = None
        far = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = far.server.handle_enrol(dict(self.headers), body, NOW_MS)
                if far.lose:
                    far.lose -= 1
                    self.close_connection = True
                    return
                if far.spoil:
                    reply = far.spoil(reply)
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def far() -> Iterator[Far]:
    far = Far()
    thread = threading.Thread(target=far.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield far
    far.http.shutdown()
    far.http.server_close()
    thread.join()


def enrol(far: Far, path: Path, code: str, url: str | None = None) -> Identity:
    with requests.Session() as session:
        session.trust_env = False
        return identity.enrol(path, url=url or far.url, code=code, session=session, rng=random.Random(5))


def test_a_code_becomes_an_identity_that_is_read_back_whole(far: Far, tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    made = enrol(far, path, far.server.add_bin("bin-1") + "\n", far.url + "/")
    assert (made.bin_id, made.server_url) == ("bin-1", far.url)
    assert made.server_public_key.public_bytes_raw() == far.server.public_key.public_bytes_raw()
    read = identity.load(path)
    assert read.private_key.private_bytes_raw() == made.private_key.private_bytes_raw()
    assert identity.card_ref(read, scheme="em4100", uid_hex="0A") == identity.card_ref(
        made, scheme="em4100", uid_hex="0A"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["identity.json"]


def test_an_answer_that_was_lost_is_simply_asked_for_again_with_the_same_key(far: Far, tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    code = far.server.add_bin("bin-1")
    far.lose = 1
    with pytest.raises(requests.RequestException):
        enrol(far, path, code)
    before = json.loads(path.read_bytes())["private_key"]
    with pytest.raises(IdentityError, match="begun and not finished"):
        identity.load(path)
    assert enrol(far, path, code).bin_id == "bin-1"
    assert json.loads(path.read_bytes())["private_key"] == before


def test_an_enrolled_bin_does_not_enrol_again_by_mistake(far: Far, tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    enrol(far, path, far.server.add_bin("bin-1"))
    with pytest.raises(IdentityError, match="already enrolled as bin-1"):
        enrol(far, path, "code")


def test_a_refusal_says_why(far: Far, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"HTTP 403\): this code is unknown"):
        enrol(far, tmp_path / "identity.json", "wrong-code")
    far.spoil = lambda reply: Reply(502, {}, b"bad gateway")
    with pytest.raises(IdentityError, match=r"HTTP 502\): bad gateway"):
        enrol(far, tmp_path / "identity.json", "wrong-code")


def test_another_server_gets_another_key(far: Far, tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    key = json.dumps({"private_key": "AAAA", "server_url": "http://elsewhere"})
    path.write_text(key)
    assert enrol(far, path, far.server.add_bin("bin-1")).bin_id == "bin-1"


@pytest.mark.parametrize("what", ["signature", "body", "nonce"])
def test_an_answer_that_is_not_signed_for_this_request_is_not_believed(far: Far, tmp_path: Path, what: str) -> None:
    code = far.server.add_bin("bin-1")

    def spoil(reply: Reply) -> Reply:
        if what == "signature":
            return reply._replace(headers={})
        if what == "body":
            return reply._replace(body=reply.body.replace(b"bin-1", b"bin-2"))
        answer = json.loads(reply.body) | {"nonce": "other"}
        return reply._replace(body=json.dumps(answer).encode())

    far.spoil = spoil
    with pytest.raises(WireError, match="not signed for this request"):
        enrol(far, tmp_path / "identity.json", code)


def made() -> Identity:
    return Identity(
        bin_id="bin-1",
        private_key=Ed25519PrivateKey.from_private_bytes(b"b" * 32),
        server_url="http://127.0.0.1",
        server_public_key=Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key(),
        programme_key_id="k1",
        programme_key=b"p" * 32,
        programme_salt=b"salt",
    )


def test_an_identity_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    path.write_text("old")
    path.chmod(0o644)
    identity.save(path, made())
    read = identity.load(path)
    assert (read.bin_id, read.programme_key, read.programme_salt) == ("bin-1", b"p" * 32, b"salt")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_identity_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="not enrolled"):
        identity.load(tmp_path / "identity.json")


@pytest.mark.parametrize(
    "change",
    [
        b"{",
        b"\xff",
        {"private_key": "AAAA"},
        {"private_key": "!"},
        {"server_public_key": "AAAA"},
        {"programme_key": "!"},
    ],
)
def test_a_damaged_identity_says_so(tmp_path: Path, change: bytes | dict[str, str]) -> None:
    path = tmp_path / "identity.json"
    identity.save(path, made())
    path.write_bytes(
        change if isinstance(change, bytes) else json.dumps(json.loads(path.read_bytes()) | change).encode()
    )
    with pytest.raises(IdentityError, match="damaged"):
        identity.load(path)


def test_a_card_is_a_pseudonym_that_depends_on_every_part_of_it() -> None:
    """The expected value was computed with OpenSSL's command line: kdf SCRYPT, then dgst -mac HMAC."""
    ref = identity.card_ref(made(), scheme="em4100", uid_hex="0A00112233")
    assert ref == "k1:c94ce88adc03d30e176a1144b23b6fc990c965e51c586771cf03c6a2eb6cd1d9"
    assert identity.card_ref(made(), scheme="mifare", uid_hex="0A00112233") != ref
    assert identity.card_ref(made(), scheme="em4100", uid_hex="0A00112234") != ref
    assert "0A00112233" not in ref


def test_an_enrolments_answer_needs_a_key_that_is_one() -> None:
    answer = wire.EnrolAnswer(
        nonce="n", bin_id="b", server_public_key="AAAA", programme_key_id="k", programme_key="", programme_salt=""
    )
    with pytest.raises(WireError, match="32 bytes"):
        identity.read_enrol_answer(200, "", wire.encode(answer), "n")
