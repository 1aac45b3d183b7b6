"""The resident's screen as a clock sees it: each view with the time at which it arrived."""

from __future__ import annotations

import http.client
import json
import queue
import re
import socket
import threading
import time
from typing import Any

WAIT_S = 20.0


class ScreenClient:
    """One open event stream, and the page's button."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stream = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self._stream.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
        self._views: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        page = self._ask("GET", "/", {})
        token = re.search(r'content="([\w-]{32})"', page)
        assert token, "the page holds no token"
        self._token = token[1]
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, screen: str) -> tuple[int, dict[str, Any]]:
        """The next view of that screen: nanoseconds of CLOCK_MONOTONIC at which it had arrived, and the view."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                arrived_ns, view = self._views.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the screen did not come to {screen!r}") from None
            if view["screen"] == screen:
                return arrived_ns, view

    def press_done(self) -> None:
        self._ask("POST", "/done", {"Origin": f"http://127.0.0.1:{self._port}", "Kiosk-Token": self._token})

    def close(self) -> None:
        self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def _read(self) -> None:
        try:
            for line in self._stream.makefile("rb"):
                arrived_ns = time.monotonic_ns()
                if line.startswith(b"data: {"):
                    self._views.put((arrived_ns, json.loads(line[6:])))
        except OSError:
            pass  # closed; whoever waits for a view hears of it there

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_S)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        assert answer.status in (200, 204), f"{method} {path}: {answer.status} {body}"
        return body
