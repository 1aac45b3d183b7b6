"""What the CLI talks to: a Unix socket, one JSON object a line each way.

Only its owner and group may open it. Each connection has a thread of its own, so that a slow question delays nobody;
the answering function is called there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

LINE_BYTES_MAX = 1 << 20
ANSWER_S_MAX = 15.0
"""For an answer, and for a client's next question before it is hung up on."""
CLIENTS_MAX = 16
"""Further ones wait in the socket's queue; a technician and a demo need two."""
RETRY_S = 0.1
LOOK = "look at its log: journalctl -u battery-kiosk"

Request = dict[str, Any]
Reply = dict[str, Any]


class NotRunning(ConnectionError):
    """No daemon answers at this socket; the message names the remedy."""


class ControlSocket:
    """Serves ``answer(request) -> reply`` until :meth:`close`. ``answer`` may raise ValueError for a wrong request."""

    def __init__(self, path: Path, answer: Callable[[Request], Reply]) -> None:
        self._path = path
        self._answer = answer
        # The caller holds the ledger's lock, so whatever lies here is a dead daemon's.
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o117)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(mask)
        self._listener.listen(8)
        self._closing = False
        self._seats = threading.BoundedSemaphore(CLIENTS_MAX)
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Take no more questions; the socket file goes."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._closing:
            self._seats.acquire()
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # Closing, or out of descriptors for now: a technician must still get in afterwards.
                self._seats.release()
                time.sleep(RETRY_S)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="control client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(ANSWER_S_MAX)
                with connection.makefile("rb") as lines:
                    while line := lines.readline(LINE_BYTES_MAX):
                        connection.sendall(msgspec.json.encode(self._reply(line)) + b"\n")
        finally:
            self._seats.release()

    def _reply(self, line: bytes) -> Reply:
        try:
            return self._answer(msgspec.json.decode(line, type=dict[str, Any]))
        except ValueError as error:
            return {"error": f"{error}"}


def ask(path: Path, request: Request) -> Reply:
    """Put one question to the daemon. Raises :class:`NotRunning`; an answer ``{"error": ...}`` is returned as it is."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S_MAX)
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(f"no daemon answers at {path}; start it: systemctl start battery-kiosk") from error
    except ConnectionError as error:
        raise NotRunning(f"the daemon at {path} hung up; {LOOK}") from error
    except BlockingIOError as error:
        raise NotRunning(f"the daemon at {path} has too many clients at once; try again") from error
    except PermissionError as error:
        raise NotRunning(f"{path}: permission denied; use sudo, or join the group battery-kiosk") from error
    except TimeoutError as error:
        raise NotRunning(f"the daemon at {path} did not answer within {ANSWER_S_MAX:.0f} s; {LOOK}") from error
    if not line:
        raise NotRunning(f"the daemon at {path} hung up; {LOOK}")
    return msgspec.json.decode(line, type=dict[str, Any])
