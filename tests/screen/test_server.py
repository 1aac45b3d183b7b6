from __future__ import annotations

import asyncio
import socket
import threading
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from starlette.types import Message

from kiosk.core.view import View
from kiosk.screen.server import MEDIA_TYPES, Screen
from tests.screen.client import WAIT_S, Stream, ask, ask_all, post, token_of
from tests.screen.conftest import Pressed

IDLE = View(screen="idle", language="zh")
ACCEPTING = View(screen="accepting", language="zh", deadline_ms=60_000)


def numbered_views(count: int, text: str = "") -> list[View]:
    return [View(screen="idle", language="zh", on_its_way=number, reason=text) for number in range(1, count + 1)]


def unstarted(host: str = "127.0.0.1", port: int = 0, frame_ancestors: tuple[str, ...] = ()) -> Screen:
    return Screen(host, port, on_done=lambda: None, on_language=lambda _: None, frame_ancestors=frame_ancestors)


# --- the page ---


class References(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                self.urls.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.inline.append(tag)


def test_the_page_needs_nothing_but_this_server_and_has_nothing_inline(asked: Screen) -> None:
    status, page = ask(asked.address, "GET", "/")
    assert status == 200
    found = References(page)
    assert found.inline == []
    assert found.urls
    for url in found.urls:
        assert url.startswith("/static/")
        assert ask(asked.address, "GET", url)[0] == 200


@pytest.mark.parametrize("path", ["/", "/nothing", *(f"/static/{name}" for name in MEDIA_TYPES)])
def test_every_answer_forbids_caching_and_foreign_code(asked: Screen, path: str) -> None:
    _, headers, _ = ask_all(asked.address, "GET", path)
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_only_the_origins_given_may_embed_the_page() -> None:
    screen = unstarted(frame_ancestors=("http://127.0.0.1:8000", "http://localhost:8000"))
    screen.start()
    try:
        _, headers, _ = ask_all(screen.address, "GET", "/")
        policy = headers["content-security-policy"]
        assert policy.endswith("frame-ancestors http://127.0.0.1:8000 http://localhost:8000")
    finally:
        screen.close()


@pytest.mark.parametrize("origin", ["*", "http://a; script-src *", "http://a/path", "http://a\r\nX: y", ""])
def test_what_is_no_origin_may_not_embed(origin: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        unstarted(frame_ancestors=(origin,))


# --- who may ask, and for what ---


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        unstarted(host)


def test_a_taken_port_is_said_with_its_address(asked: Screen) -> None:
    other = unstarted(port=int(asked.address.rsplit(":", 1)[1]))
    with pytest.raises(OSError, match=r"screen http://127\.0\.0\.1:") as caught:
        other.start()
    assert caught.value.errno is not None
    other.close()


@pytest.mark.parametrize("path", ["/", "/events", "/static/screen.js", "/done"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:80", ""])
def test_another_hosts_name_is_refused(asked: Screen, path: str, host: str) -> None:
    assert ask(asked.address, "GET", path, {"Host": host}) == (403, "wrong host")


def test_localhost_is_this_host(asked: Screen) -> None:
    assert (
        ask(asked.address, "GET", "/", {"Host": asked.address.split("//")[1].replace("127.0.0.1", "localhost")})[0]
        == 200
    )


@pytest.mark.parametrize("path", ["/done", "/language"])
@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://{host}"])
def test_a_post_from_another_origin_does_nothing(
    asked: Screen, pressed: Pressed, path: str, origin: str | None
) -> None:
    headers = {"Kiosk-Token": token_of(asked.address)}
    if origin is not None:
        headers["Origin"] = origin.replace("{host}", asked.address.split("//")[1])
    assert ask(asked.address, "POST", path, headers, "en")[0] == 403
    assert pressed == Pressed()


@pytest.mark.parametrize("path", ["/done", "/language"])
@pytest.mark.parametrize("token", [None, "", "wrong", "\xe9"])
def test_a_post_without_the_boots_token_does_nothing(
    asked: Screen, pressed: Pressed, path: str, token: str | None
) -> None:
    headers = {"Origin": asked.address} | ({} if token is None else {"Kiosk-Token": token})
    assert ask(asked.address, "POST", path, headers, "en")[0] == 403
    assert pressed == Pressed()


def test_every_boot_has_another_token(asked: Screen) -> None:
    other = unstarted()
    other.start()
    try:
        assert token_of(other.address) != token_of(asked.address)
    finally:
        other.close()


def test_done_is_passed_on(asked: Screen, pressed: Pressed) -> None:
    assert post(asked.address, "/done") == (204, "")
    assert pressed == Pressed(done=1)


def test_both_languages_are_passed_on(asked: Screen, pressed: Pressed) -> None:
    assert post(asked.address, "/language", "en") == (204, "")
    assert post(asked.address, "/language", "zh") == (204, "")
    assert pressed == Pressed(languages=["en", "zh"])


@pytest.mark.parametrize("body", ["", "fr", "english", "zh" * 100_000])
def test_another_language_is_not(asked: Screen, pressed: Pressed, body: str) -> None:
    assert post(asked.address, "/language", body) == (400, "language is zh or en")
    assert pressed == Pressed()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("POST", "/events", 405),
        ("GET", "/done", 405),
        ("GET", "/language", 405),
        ("PUT", "/done", 405),
        ("OPTIONS", "/done", 405),
        ("HEAD", "/events", 405),
        ("DELETE", "/nothing", 405),
        ("GET", "/nothing", 404),
        ("POST", "/unlock", 404),
        ("POST", "/done/", 404),
        ("GET", "/static/", 404),
        ("GET", "/static/server.py", 404),
        ("GET", "/static/../server.py", 404),
        ("GET", "/static/%2e%2e/server.py", 404),
        ("GET", "/static/index.html", 404),
    ],
)
def test_everything_else_is_refused_in_plain_text(
    asked: Screen, pressed: Pressed, method: str, path: str, status: int
) -> None:
    headers = {"Origin": asked.address, "Kiosk-Token": token_of(asked.address)}
    got, answer_headers, _ = ask_all(asked.address, method, path, headers)
    assert got == status
    assert answer_headers.get_content_type() == "text/plain"
    assert pressed == Pressed()


# --- the stream ---


def test_a_client_gets_the_current_view_at_once_and_then_every_change(screen: Screen) -> None:
    screen.publish(IDLE)
    stream = Stream(screen.address)
    assert (stream.status, stream.headers.get_content_type()) == (200, "text/event-stream")
    views = stream.views()
    first = next(views)
    assert first.view is not None
    assert first.view["screen"] == "idle"
    screen.publish(View(screen="accepting", language="en"))
    second = next(views)
    assert second.view is not None
    assert (second.view["screen"], second.view["language"]) == ("accepting", "en")
    stream.close()


def test_before_the_first_view_the_bin_is_starting(screen: Screen) -> None:
    stream = Stream(screen.address)
    view = next(stream.views()).view
    assert view is not None
    assert (view["screen"], view["language"]) == ("starting", "zh")
    stream.close()


def test_ids_increase_within_a_boot_and_into_the_next(screen: Screen) -> None:
    stream = Stream(screen.address)
    views = stream.views()
    ids = [next(views).event_id]
    for view in numbered_views(5):
        screen.publish(view)
        ids.append(next(views).event_id)
    stream.close()
    restarted = unstarted()
    restarted.start()
    try:
        again = Stream(restarted.address)
        ids.append(next(again.views()).event_id)
        again.close()
    finally:
        restarted.close()
    assert all(earlier is not None and later is not None and earlier < later for earlier, later in pairwise(ids))


def test_a_quiet_stream_is_kept_alive_without_repeating_the_view(screen: Screen) -> None:
    stream = Stream(screen.address)
    messages = stream.messages()
    assert [next(messages).event for _ in range(3)] == ["message", "alive", "alive"]
    stream.close()


def test_who_connects_again_gets_the_newest_view_with_the_rest_of_its_deadline(screen: Screen) -> None:
    early = Stream(screen.address)
    messages = early.messages()
    next(messages)
    screen.publish(ACCEPTING)
    assert [next(messages).event for _ in range(2)] == ["message", "alive"]  # a heartbeat later: a second has passed
    early.close()
    late = Stream(screen.address)
    view = next(late.views()).view
    assert view is not None
    assert view["screen"] == "accepting"
    assert 0 < view["deadline_ms"] < 59_500
    late.close()


def test_publishing_waits_for_nothing_and_only_the_newest_view_is_sent() -> None:
    entered, leave = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        leave.wait(WAIT_S)

    screen = Screen("127.0.0.1", 0, on_done=block, on_language=lambda _: None)
    screen.start()
    try:
        stream = Stream(screen.address)
        views = stream.views()
        next(views)
        token = token_of(screen.address)
        press = threading.Thread(
            target=ask, args=(screen.address, "POST", "/done", {"Origin": screen.address, "Kiosk-Token": token})
        )
        press.start()
        assert entered.wait(WAIT_S)
        for view in numbered_views(10_000):
            screen.publish(view)  # the server's loop stands still all the while
        leave.set()
        newest = next(views).view
        assert newest is not None
        assert newest["on_its_way"] == 10_000
        press.join(WAIT_S)
        stream.close()
    finally:
        leave.set()
        screen.close()


def test_a_client_that_stops_reading_misses_views_and_then_gets_the_newest(screen: Screen) -> None:
    slow = Stream(screen.address, receive_bytes=4096)
    quick = Stream(screen.address)
    quick_views = quick.views()
    next(quick_views)
    sent = numbered_views(200, text="x" * 8000)
    for view in sent:
        screen.publish(view)
        got = next(quick_views).view
        assert got is not None
        assert got["on_its_way"] == view.on_its_way
    late: list[int] = []
    for message in slow.views():
        assert message.view is not None
        late.append(message.view["on_its_way"])
        if late[-1] == 200:
            break
    assert late == sorted(late)
    assert len(late) < 60  # what the kernel's two buffers hold, and one view
    slow.close()
    quick.close()


def test_a_view_is_chosen_only_when_the_client_can_take_it() -> None:
    screen = unstarted()
    bodies: list[bytes] = []

    async def scenario() -> None:
        writable, stalled, request = asyncio.Event(), asyncio.Event(), asyncio.Event()
        writable.set()
        request.set()

        async def receive() -> Message:
            await request.wait()
            request.clear()
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            if not writable.is_set():
                stalled.set()
            await writable.wait()
            bodies.append(message.get("body", b""))
            if b"data: " in bodies[-1] and len([body for body in bodies if b"data: " in body]) == 1:
                writable.clear()
                screen.publish(View(screen="accepting", language="zh"))

        stream = asyncio.ensure_future(screen._stream({"type": "http"}, receive, send))
        await stalled.wait()
        screen.publish(View(screen="weighing", language="zh"))
        writable.set()
        while b"weighing" not in bodies[-1]:
            await asyncio.sleep(0)
        stream.cancel()

    asyncio.run(scenario())
    assert not [body for body in bodies if b"accepting" in body]


def test_a_client_that_went_away_is_forgotten(screen: Screen) -> None:
    gone, stays = Stream(screen.address), Stream(screen.address)
    next(gone.views())
    messages = stays.messages()
    next(messages)
    assert screen.clients == 2
    gone.close()
    next(messages)  # a heartbeat later at the latest
    assert screen.clients == 1
    stays.close()


# --- the end ---


def test_close_ends_open_streams_even_of_a_client_that_does_not_read() -> None:
    before = set(threading.enumerate())
    screen = unstarted()
    screen.start()
    reading = Stream(screen.address)
    views = reading.views()
    next(views)
    stalled = Stream(screen.address, receive_bytes=4096)
    for view in numbered_views(100, text="x" * 8000):
        screen.publish(view)
        next(views)
    screen.close()  # waits a second at most
    assert set(threading.enumerate()) == before
    assert screen.clients == 0
    assert reading.ended()
    assert stalled.ended()
    reading.close()
    stalled.close()


def test_after_close_the_port_is_free_and_publishing_does_nothing(screen: Screen) -> None:
    port = int(screen.address.rsplit(":", 1)[1])
    stream = Stream(screen.address)
    next(stream.views())
    screen.close()
    screen.publish(IDLE)
    screen.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    again = unstarted(port=port)
    again.start()
    again.close()
    stream.close()


def test_close_right_after_start_and_close_without_start_both_end() -> None:
    before = set(threading.enumerate())
    screen = unstarted()
    screen.start()
    screen.close()
    unstarted().close()
    assert set(threading.enumerate()) == before
