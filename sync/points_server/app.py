"""The points server behind HTTP: Starlette around the handler, uvicorn around Starlette."""

from __future__ import annotations

import ipaddress
import json
import logging
import time
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sync.points_server.server import PointsServer, Reply
from sync.wire import ENROL_PATH, PACKED_BYTES_MAX, Refused, encode

SHUTDOWN_S_MAX = 2
"""uvicorn waits for open connections when it stops; without a limit, for ever."""
OVERVIEW_ROWS = 200
OVERVIEW_ROWS_MAX = 100_000

log = logging.getLogger(__name__)

Handler = Callable[[str, dict[str, str], bytes, int], Reply]


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def make_app(server: PointsServer, *, operator_view: bool, clock: Callable[[], int] = _unix_ms) -> Starlette:
    """``operator_view`` adds ``GET /v1/operator/ledger``, to callers on loopback: never behind a reverse proxy, which
    makes everybody such a caller. ``clock`` is Unix milliseconds."""

    async def sync(request: Request) -> Response:
        return await _posted(request, server.handle_sync, clock)

    async def enrol(request: Request) -> Response:
        return await _posted(
            request, lambda _path, headers, body, now_ms: server.handle_enrol(headers, body, now_ms), clock
        )

    async def ledger(request: Request) -> Response:
        if not _is_loopback(request):
            return Response(status_code=403)
        asked = request.query_params.get("limit", "")
        limit = min(int(asked), OVERVIEW_ROWS_MAX) if asked.isascii() and asked.isdigit() else OVERVIEW_ROWS
        overview = await run_in_threadpool(server.overview, limit)
        return Response(json.dumps(overview), media_type="application/json")

    routes = [
        Route("/v1/bins/{bin_id}/sync", sync, methods=["POST"]),
        Route(ENROL_PATH, enrol, methods=["POST"]),
    ]
    if operator_view:
        routes.append(Route("/v1/operator/ledger", ledger, methods=["GET"]))
    return Starlette(routes=routes)


def make_web_server(app: Starlette, *, host: str, port: int) -> uvicorn.Server:
    """Ready to ``run()``; set ``should_exit`` to stop it."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_S_MAX,
    )
    return uvicorn.Server(config)


async def _posted(request: Request, handle: Handler, clock: Callable[[], int]) -> Response:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            # One byte too many is let through: the handler says what is wrong with it.
            if len(body) > PACKED_BYTES_MAX:
                break
    except ClientDisconnect:
        return Response(status_code=400)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        reply = await run_in_threadpool(handle, request.url.path, headers, bytes(body), clock())
    except Exception:
        # The handler's transaction is undone; the caller tries again, and learns nothing about this program.
        log.exception("%s failed", request.url.path)
        reply = Reply(500, {"Content-Type": "application/json"}, encode(Refused(error="an error of this server")))
    close = {"Connection": "close"} if len(body) > PACKED_BYTES_MAX else {}
    return Response(reply.body, reply.status, {**reply.headers, **close})


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
