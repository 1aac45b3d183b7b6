"""The ASGI application called directly: what real HTTP cannot be made to do on purpose."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sync import wire
from sync.points_server.app import make_app
from tests.sync.sync_making import NOW_MS, Bin, chains, deposit, enrolled, make_server


def call(
    app: Any,
    method: str,
    path: str,
    *,
    client: tuple[str, int] | None,
    events: list[dict[str, Any]],
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": client,
        "server": ("test", 80),
        "scheme": "http",
    }
    waiting = iter(events)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def chunks(body: bytes) -> list[dict[str, Any]]:
    parts = [body[start : start + 100] for start in range(0, len(body), 100)]
    return [
        {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
        for number, part in enumerate(parts)
    ]


EMPTY = [{"type": "http.request", "body": b"", "more_body": False}]


def test_the_operators_view_is_for_loopback_and_only_when_it_was_asked_for() -> None:
    server = make_server()
    app = make_app(server, operator_view=True)
    path = "/v1/operator/ledger"
    status, body = call(app, "GET", path, client=("127.0.0.1", 1), events=EMPTY)
    assert status == 200
    assert json.loads(body)["totals"]["journal_sum"] == 0
    for client in (("192.0.2.1", 1), ("unix", 0), None):
        assert call(app, "GET", path, client=client, events=EMPTY)[0] == 403
    assert call(make_app(server, operator_view=False), "GET", path, client=("::1", 1), events=EMPTY)[0] == 404


def test_a_request_in_many_chunks_is_one_request() -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.exchange()
    send = bin_.until_send()
    app = make_app(server, operator_view=False, clock=lambda: NOW_MS)
    status, body = call(app, "POST", send.path, client=None, events=chunks(send.body), headers=send.headers)
    assert (status, wire.decode(body, wire.SyncAnswer).ack.acked_seq) == (200, 2)


def test_an_error_of_the_server_is_logged_undone_and_not_told_to_the_caller(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server()
    bin_ = Bin(server, enrolled(server), chains(deposit("i1")))
    bin_.exchange()
    send = bin_.until_send()
    app = make_app(server, operator_view=False, clock=lambda: NOW_MS)
    with monkeypatch.context() as patched:
        # Behind the nonce and the records, in front of the commit.
        patched.setattr("sync.points_server.intake.has_more", lambda *_: 1 / 0)
        status, body = call(app, "POST", send.path, client=None, events=chunks(send.body), headers=send.headers)
    assert status == 500
    assert wire.decode(body, wire.Refused).error == "an error of this server"
    assert "ZeroDivisionError" in caplog.text
    assert server.overview(10)["records"] == []
    status, body = call(app, "POST", send.path, client=None, events=chunks(send.body), headers=send.headers)
    assert (status, wire.decode(body, wire.SyncAnswer).ack.acked_seq) == (200, 2)


def test_a_caller_who_hangs_up_costs_nothing() -> None:
    app = make_app(make_server(), operator_view=False)
    assert call(app, "POST", wire.ENROL_PATH, client=None, events=[{"type": "http.disconnect"}])[0] == 400


def test_reading_stops_at_the_limit() -> None:
    app = make_app(make_server(), operator_view=False)
    part = {"type": "http.request", "body": bytes(1 << 20), "more_body": True}
    headers = {"Content-Encoding": "gzip"}
    assert call(app, "POST", wire.ENROL_PATH, client=None, events=[part, part], headers=headers)[0] == 413
