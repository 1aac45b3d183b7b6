import json

import msgspec

from kiosk.core.states import Credit
from kiosk.core.view import View
from kiosk.screen.sse import HEARTBEAT, aged, numbered, sse_bytes

CREDIT = Credit(item_id="i-1", battery_class="AA", count=1, points=10, unpaid=False)


def test_a_message_is_one_data_line_and_a_blank_line_and_carries_the_whole_view() -> None:
    view = View(screen="credited", language="zh", credit=CREDIT, session_points=10, session_items=1)
    message = sse_bytes(view)
    assert message.startswith(b"data: ")
    assert message.endswith(b"\n\n")
    assert message.count(b"\n") == 2
    assert msgspec.json.decode(message.removeprefix(b"data: "), type=View) == view


def test_no_text_of_a_view_can_end_its_message() -> None:
    message = sse_bytes(View(screen="closed", language="zh", reason="a\n\ndata: b\r\x00 c"))
    assert message.count(b"\n") == 2
    assert b"\r" not in message
    assert json.loads(message[6:])["reason"] == "a\n\ndata: b\r\x00 c"


def test_the_same_view_is_the_same_bytes() -> None:
    view = View(screen="idle", language="en", online=True, on_its_way=3)
    assert sse_bytes(view) == sse_bytes(View(screen="idle", language="en", online=True, on_its_way=3))


def test_an_id_stands_before_the_message() -> None:
    assert numbered(42, b"data: {}\n\n") == b"id: 42\ndata: {}\n\n"


def test_an_older_view_has_less_of_its_deadline_left_and_never_less_than_none() -> None:
    view = View(screen="accepting", language="zh", deadline_ms=30_000)
    assert aged(view, 12_000).deadline_ms == 18_000
    assert aged(view, 40_000).deadline_ms == 0


def test_a_view_without_deadline_does_not_age() -> None:
    view = View(screen="idle", language="zh")
    assert aged(view, 40_000) is view


def test_the_heartbeat_is_a_comment_and_an_event_that_is_no_view() -> None:
    lines = HEARTBEAT.split(b"\n")
    assert lines[0].startswith(b":")
    assert b"event: alive" in lines
    assert HEARTBEAT.endswith(b"\n\n")
