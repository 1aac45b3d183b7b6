"""A reader of event streams and a poster of answers, written apart from the server: plain sockets, plain HTTP."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One dispatched event; ``view`` is null for anything but a view."""

    event_id: int | None
    event: str
    view: dict[str, Any] | None


class Stream:
    """One open event stream. ``receive_bytes`` bounds what the kernel takes in while nobody reads."""

    def __init__(self, address: str, *, receive_bytes: int | None = None) -> None:
        where = urlsplit(address)
        assert where.hostname is not None
        assert where.port is not None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(WAIT_S)
        self._socket.connect((where.hostname, where.port))
        self._socket.sendall(f"GET /events HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = http.client.parse_headers(self._file)

    def _lines(self) -> Iterator[bytes]:
        """The body's lines, chunked transfer coding taken off."""
        rest = b""
        while size := int(self._file.readline() or b"0", 16):
            rest += self._file.read(size)
            assert self._file.readline() == b"\r\n"
            *lines, rest = rest.split(b"\n")
            yield from lines

    def messages(self) -> Iterator[Message]:
        """Events as a browser would dispatch them, until the server hangs up."""
        fields: dict[str, str] = {}
        for line in self._lines():
            if line:
                name, _, value = line.decode().partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "data" in fields:
                kind = fields.get("event", "message")
                view = json.loads(fields["data"]) if kind == "message" else None
                yield Message(event_id=int(fields["id"]) if "id" in fields else None, event=kind, view=view)
            fields = {}

    def views(self) -> Iterator[Message]:
        return (message for message in self.messages() if message.view is not None)

    def ended(self) -> bool:
        """Read to the end; true when there is one."""
        try:
            while self._file.read(4096):
                pass
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def ask(address: str, method: str, path: str, headers: dict[str, str] | None = None, body: str = "") -> tuple[int, str]:
    """Status and text of one request whose headers are exactly these, and the right Host unless they name one."""
    status, _, text = ask_all(address, method, path, headers, body)
    return status, text


def ask_all(
    address: str, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=WAIT_S)
    try:
        sent = {"Host": urlsplit(address).netloc, **(headers or {})}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def token_of(address: str) -> str:
    _, page = ask(address, "GET", "/")
    found = re.search(r'<meta name="kiosk-token" content="([^"]+)">', page)
    assert found is not None
    return found[1]


def post(address: str, path: str, body: str = "") -> tuple[int, str]:
    """A request as the page makes it."""
    return ask(address, "POST", path, {"Origin": address, "Kiosk-Token": token_of(address)}, body)
