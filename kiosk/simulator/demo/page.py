"""The demo's page: loopback only, one address."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from kiosk.simulator.demo.show import Show

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
STOP_S = 1


def listen(port: int) -> socket.socket:
    """A socket on that port of loopback, or on a free one when it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def origins(listener: socket.socket) -> tuple[str, str]:
    port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}", f"http://localhost:{port}"


class PageServer(uvicorn.Server):
    """uvicorn that leaves the signals to the demo."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def page_server(show: Show, own_origins: tuple[str, ...]) -> PageServer:
    """``serve(sockets=[...])`` it; set ``should_exit`` to stop it."""
    config = uvicorn.Config(
        page_app(show, own_origins),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=STOP_S,
    )
    return PageServer(config)


def page_app(show: Show, own_origins: tuple[str, ...]) -> Starlette:
    hosts = {origin.removeprefix("http://") for origin in own_origins}
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        f"frame-src {show.rig.screen_address}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}

    def is_ours(request: Request) -> bool:
        """Another host's name means DNS rebinding; another origin, some other page of this browser."""
        if request.headers.get("host") not in hosts:
            return False
        return request.method == "GET" or request.headers.get("origin") in own_origins

    async def file(request: Request) -> Response:
        path = STATIC / (request.path_params.get("name") or "index.html")
        if not is_ours(request) or path.suffix not in MEDIA_TYPES or not path.is_file():
            return PlainTextResponse("not found", 404)
        text = path.read_text(encoding="utf-8").replace("{screen}", show.rig.screen_address)
        return Response(text, media_type=MEDIA_TYPES[path.suffix], headers=headers)

    async def live(request: Request) -> Response:
        if not is_ours(request):
            return PlainTextResponse("wrong host", 403)
        return StreamingResponse(show.hub.stream(), media_type="text/event-stream", headers=headers)

    async def act(request: Request) -> Response:
        if not is_ours(request):
            return PlainTextResponse("wrong origin", 403)
        try:
            await show.click(request.path_params["name"])
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse({})

    async def evidence(request: Request) -> Response:
        if not is_ours(request):
            return PlainTextResponse("wrong host", 403)
        found = await show.evidence(request.path_params["item_id"])
        if found is None:
            return JSONResponse({"error": "the daemon is dead; its ledger answers when it is back"}, 503, headers)
        return JSONResponse(found, 404 if "error" in found else 200, headers)

    return Starlette(
        routes=[
            Route("/", file),
            Route("/static/{name}", file),
            Route("/live", live),
            Route("/act/{name}", act, methods=["POST"]),
            Route("/evidence/{item_id}", evidence),
        ]
    )
