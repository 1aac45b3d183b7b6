"""The real daemon with one thing broken, as a process: ``python broken_daemon.py HOW kiosk-arguments...``.

Dies by a real SIGKILL at a named moment, or stalls where a card would. Everything else is the product's own code.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
from typing import Any

from kiosk import daemon
from kiosk.cli import main
from kiosk.core.events import Appended
from kiosk.core.states import Committing
from sync.ledger.values import Done
from sync.records import Counts


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_committed() -> None:
    """A deposit is durable and the loop has heard of it; nothing was shown and nothing moved."""
    handle = daemon.Daemon._handle

    def handled(self: Any, event: Any, now_ms: int) -> None:
        if isinstance(event, Appended) and isinstance(self._bin.phase, Committing):
            die()
        handle(self, event, now_ms)

    daemon.Daemon._handle = handled  # type: ignore[method-assign]


def die_before_showing() -> None:
    """The effects of the commit are performed, the gate has its command; the screen has heard nothing."""
    publish = daemon.Screen.publish

    def published(self: Any, view: Any) -> None:
        if view.screen == "credited":
            die()
        publish(self, view)

    daemon.Screen.publish = published  # type: ignore[method-assign]


def stall_storage(seconds: float) -> None:
    """Every COMMIT takes this long, as a worn card's fdatasync does."""

    class Stalling(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
            if sql == "COMMIT":
                time.sleep(seconds)
            return super().execute(sql, *parameters)

    real = daemon.Ledger.open

    def opened(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **options, connect=lambda *a, **o: sqlite3.connect(*a, **o, factory=Stalling))

    daemon.Ledger.open = opened  # type: ignore[assignment, method-assign]


def drop_flushes() -> None:
    """Commits return without waiting for the medium."""

    def hasty(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return sqlite3.connect(*arguments, **options, factory=Hasty)

    class Hasty(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
            return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *parameters)

    real = daemon.Ledger.open
    daemon.Ledger.open = lambda *a, **o: real(*a, **o, connect=hasty)  # type: ignore[assignment, method-assign]


def believe_early(seconds: float) -> None:
    """The loop is told that a record is durable, and only this much later is it written."""
    append = daemon.LedgerThread.append

    def appended(self: Any, ticket: str, entries: Any) -> None:
        self._on_event(Done(ticket=ticket, counts=Counts()))
        threading.Timer(seconds, append, (self, ticket, entries)).start()

    daemon.LedgerThread.append = appended  # type: ignore[method-assign]


def stick_loop() -> None:
    """The loop hangs in its third second."""
    chores = daemon.Daemon._do_chores

    def done(self: Any) -> None:
        if self._chores == 3:
            time.sleep(3600)
        chores(self)

    daemon.Daemon._do_chores = done  # type: ignore[method-assign]


if __name__ == "__main__":
    match sys.argv.pop(1).split("="):
        case ["committed"]:
            die_when_committed()
        case ["showing"]:
            die_before_showing()
        case ["stall", seconds]:
            stall_storage(float(seconds))
        case ["unflushed"]:
            drop_flushes()
        case ["early", seconds]:
            believe_early(float(seconds))
        case ["stuck"]:
            daemon.STORAGE_STUCK_MS = 1_000
            stall_storage(3600)
        case ["stick"]:
            stick_loop()
        case other:
            sys.exit(f"unknown way to break: {other}")
    main(prog_name="kiosk")
