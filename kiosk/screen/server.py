"""The web server behind the resident's screen: loopback only, in a thread of its own, for one page.

Every client holds at most the one view that it is being sent; whoever reads slowly misses views in between and never
the newest. The only asyncio of the controller lives here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from kiosk.core.view import View
from kiosk.screen.sse import HEARTBEAT, RETRY, aged, numbered, sse_bytes

HEARTBEAT_S = 1.0  # the page calls the stream lost after 3 s
CLIENTS_MAX = 32  # one browser and a technician's; more get 503 and try again
SEND_BUFFER_BYTES = 16 * 1024  # views that a slow client would still be shown, late, before the newest
CLOSE_S = 1.0

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {"screen.css": "text/css", "screen.js": "text/javascript", "sentences.json": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A view, its id, and when it was published on CLOCK_MONOTONIC."""

    event_id: int
    view: View
    at_ns: int


class Screen:
    """Serves the page on ``http://host:port/`` and follows the views that it is given.

    ``on_done`` and ``on_language`` are called in the server's thread and must not block. ``frame_ancestors`` are the
    origins that may embed the page. ``port`` 0 takes any free one; ``address`` says which after :meth:`start`.

    Raises ValueError for a host that is not a loopback address and for anything that is not an origin.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        on_done: Callable[[], None],
        on_language: Callable[[Literal["zh", "en"]], None],
        frame_ancestors: Iterable[str] = (),
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"screen host {host}: not a loopback address; use 127.0.0.1 or ::1")
        self._host = host
        self._port = port
        self._on_done = on_done
        self._on_language = on_language
        self._headers = _headers(frame_ancestors)
        self._token = secrets.token_urlsafe(24)
        self._page = (STATIC / "index.html").read_text(encoding="utf-8").replace("{token}", self._token)
        self._static = {name: (STATIC / name).read_bytes() for name in MEDIA_TYPES}
        self._routes = Router(
            [
                Route("/", self._get_page),
                Route("/static/{name}", self._get_static),
                Route("/events", self._get_events),
                Route("/done", self._post_done, methods=["POST"]),
                Route("/language", self._post_language, methods=["POST"]),
            ],
            redirect_slashes=False,
        )
        self._lock = threading.Lock()
        # Ids also grow from one daemon to the next: nobody publishes a view every nanosecond.
        self._latest = Published(
            event_id=time.monotonic_ns(),
            view=View(screen="starting", language="zh"),
            at_ns=time.monotonic_ns(),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_asked = False
        self._changed: set[asyncio.Event] = set()
        self._closing = False
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http=_UnbufferedHttp,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=CLIENTS_MAX,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._listener: socket.socket | None = None

    @property
    def address(self) -> str:
        """The page's origin, such as ``http://127.0.0.1:8080``."""
        return f"http://{_in_url(self._host)}:{self._port}"

    @property
    def clients(self) -> int:
        """How many event streams are open."""
        return len(self._changed)

    def start(self) -> None:
        """Listen and serve. Raises OSError, with the address in its message, when the port cannot be had."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            listener.bind((self._host, self._port))
            listener.listen()
        except OSError as error:
            listener.close()
            message = f"screen {self.address}: {error.strerror}; is another kiosk running, or is the port taken?"
            raise OSError(error.errno, message) from error
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._thread.start()

    def publish(self, view: View) -> None:
        """Show this view. Returns at once, from any thread, whatever the clients do."""
        with self._lock:
            event_id = self._latest.event_id + 1
            self._latest = Published(event_id=event_id, view=view, at_ns=time.monotonic_ns())
            if self._loop is not None and not self._wake_asked:
                self._wake_asked = True
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Hang up on every client and stop, within a second; afterwards :meth:`publish` shows nothing."""
        with self._lock:
            self._closing = True
            self._server.should_exit = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._hang_up)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    # --- in the server's thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        assert self._listener is not None
        with self._lock:
            self._loop = asyncio.get_running_loop()
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            with self._lock:
                self._loop = None
            self._listener.close()

    def _wake(self) -> None:
        with self._lock:
            self._wake_asked = False
        for changed in self._changed:
            changed.set()

    def _hang_up(self) -> None:
        # Not left to uvicorn's graceful shutdown, which would wait for a client that has stopped reading.
        for connection in list(self._server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        trouble = self._trouble_with(Request(scope))
        await (trouble or self._routes)(scope, receive, send_with_headers)

    def _trouble_with(self, request: Request) -> Response | None:
        """Why this request is not served, as an answer. Another host's name means DNS rebinding."""
        if self._closing:
            return PlainTextResponse("stopping", 503)
        hosts = {f"{_in_url(self._host)}:{self._port}", f"localhost:{self._port}"}
        host = request.headers.get("host", "")
        if host not in hosts:
            return PlainTextResponse("wrong host", 403)
        if request.method not in ("GET", "POST"):
            return PlainTextResponse("method not allowed", 405)
        if request.method == "POST":
            if request.headers.get("origin") != f"http://{host}":
                return PlainTextResponse("wrong origin", 403)
            token = request.headers.get("kiosk-token", "")
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                return PlainTextResponse("wrong token; load the page again", 403)
        return None

    async def _get_page(self, request: Request) -> Response:
        return Response(self._page, media_type="text/html")

    async def _get_static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return PlainTextResponse("not found", 404)
        return Response(self._static[name], media_type=MEDIA_TYPES[name])

    async def _get_events(self, request: Request) -> ASGIApp:
        return self._stream

    async def _post_done(self, request: Request) -> Response:
        self._on_done()
        return Response(status_code=204)

    async def _post_language(self, request: Request) -> Response:
        """The body is the two letters, and nothing longer is read."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > 2:
                break
        match body:
            case b"zh":
                self._on_language("zh")
            case b"en":
                self._on_language("en")
            case _:
                return PlainTextResponse("language is zh or en", 400)
        return Response(status_code=204)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the request, which has no body: whatever is received after it is the disconnection
        changed = asyncio.Event()
        gone = asyncio.ensure_future(receive())
        gone.add_done_callback(lambda _: changed.set())
        self._changed.add(changed)
        try:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(_body(RETRY))
            sent_id: int | None = None
            while not gone.done():
                await send(_body(b""))  # returns when the client has taken what it was sent; only then look what is new
                changed.clear()
                latest = self._latest
                if latest.event_id == sent_id:
                    await send(_body(HEARTBEAT))
                else:
                    age_ms = (time.monotonic_ns() - latest.at_ns) // 1_000_000
                    await send(_body(numbered(latest.event_id, sse_bytes(aged(latest.view, age_ms)))))
                    sent_id = latest.event_id
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
        finally:
            self._changed.discard(changed)
            gone.cancel()


class _UnbufferedHttp(H11Protocol):
    """HTTP/1.1 that calls a client slow as soon as the kernel does: by default 64 KiB of old views would queue here."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _headers(frame_ancestors: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """What goes with every answer. Raises ValueError for a frame ancestor that is not an origin."""
    origins = list(frame_ancestors)
    for origin in origins:
        if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", origin):
            raise ValueError(f"frame ancestor {origin!r}: not an origin; write it like http://127.0.0.1:8080")
    ancestors = " ".join(origins) or "'none'"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    )
    return [
        (b"cache-control", b"no-store"),
        (b"content-security-policy", policy.encode()),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
    ]
