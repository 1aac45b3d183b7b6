"""What the page is sent: server-sent events as bytes (WHATWG HTML, "Server-sent events"). Pure."""

from __future__ import annotations

import msgspec

from kiosk.core.view import View

RETRY = b"retry: 1000\n\n"
"""First thing on every stream: how long the page waits before it connects again, in milliseconds."""

HEARTBEAT = b": alive\nevent: alive\ndata:1\n\n"
"""A page's script never sees a comment, so an event goes with it: a stopped daemon leaves its connections open."""


def sse_bytes(view: View) -> bytes:
    """One message with the whole view as JSON, on one line, and the blank line that ends it; no id."""
    return b"data: " + msgspec.json.encode(view) + b"\n\n"


def numbered(event_id: int, message: bytes) -> bytes:
    """The message under its id, which grows with every view of a boot."""
    return b"id: %d\n" % event_id + message


def aged(view: View, age_ms: int) -> View:
    """The view as it is right ``age_ms`` after it was published: less of its deadline is left."""
    if view.deadline_ms is None:
        return view
    return msgspec.structs.replace(view, deadline_ms=max(0, view.deadline_ms - age_ms))
