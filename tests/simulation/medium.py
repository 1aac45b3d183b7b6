"""The disk under the ledger: a real file, a real SQLite connection, and commits that fail with either outcome."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.simulation.faults import Fate

LEDGER = "ledger.sqlite"


class Medium:
    """Folders in which one ledger lives, one after the other: death leaves a copy of what the kernel had, no more.

    Closing a connection of SQLite tidies up behind itself, which no dead process does. So the files are copied at the
    moment of death, and the old folder goes with the process.
    """

    def __init__(self, root: Path, fate: Fate) -> None:
        self._root = root
        self._fate = fate
        self._number = 0
        self._folder = self._make()
        self._connections: list[sqlite3.Connection] = []
        self.fail_commits: list[str] = []
        """Outcomes of the next commits that fail: ``lost`` or ``kept``."""
        self.out = False
        """Nothing can be written now."""

    @property
    def path(self) -> Path:
        return self._folder / LEDGER

    def connect(self, database: str, **options: Any) -> sqlite3.Connection:
        connection = sqlite3.connect(database, factory=_Faulty, **options)
        connection.medium = self
        self._connections.append(connection)
        return connection

    def freeze(self) -> None:
        """The process dies now: keep the files as they are at this moment."""
        old, self._folder = self._folder, self._make()
        for file in old.iterdir():
            if not file.name.endswith(".lock"):
                shutil.copyfile(file, self._folder / file.name)
        self._old = old

    def bury(self) -> None:
        """Let go of what the dead process had open; the kernel does it for a real one."""
        for connection in self._connections:
            connection.medium = None
            connection.close()
        self._connections.clear()
        shutil.rmtree(self._old)

    @contextmanager
    def on_disk(self) -> Iterator[sqlite3.Connection]:
        """The ledger as another process would find it if this one died now."""
        folder = self._root / "look"
        folder.mkdir(exist_ok=True)
        copy = folder / LEDGER
        for ending in ("", "-wal"):
            source = self.path.with_name(LEDGER + ending)
            target = copy.with_name(LEDGER + ending)
            target.unlink(missing_ok=True)
            if source.exists():
                shutil.copyfile(source, target)
        connection = sqlite3.connect(copy)
        try:
            yield connection
        finally:
            connection.close()

    def _make(self) -> Path:
        self._number += 1
        folder = self._root / f"life-{self._number}"
        folder.mkdir()
        return folder

    # --- what the connection asks -----------------------------------------------------------------------------------

    def begins(self) -> None:
        self._fate.reach("before BEGIN")
        if self.out:
            self._fate.happened("storage out")
            raise sqlite3.OperationalError("disk I/O error")

    def commits(self, connection: _Faulty) -> None:
        self._fate.reach("before COMMIT")
        outcome = self.fail_commits.pop(0) if self.fail_commits else None
        if outcome != "lost":
            sqlite3.Connection.execute(connection, "COMMIT")
        if outcome:
            self._fate.happened(f"COMMIT failed, {outcome}")
            raise sqlite3.OperationalError("disk I/O error")
        self._fate.reach("after COMMIT")

    def inserted(self) -> None:
        self._fate.reach("after INSERT")


class _Faulty(sqlite3.Connection):
    medium: Medium | None = None

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if self.medium is None:
            return super().execute(sql, *arguments)
        if sql == "COMMIT":
            self.medium.commits(self)
            return self.cursor()
        if sql.startswith("BEGIN"):
            self.medium.begins()
        cursor = super().execute(sql, *arguments)
        if sql.startswith("INSERT INTO records"):
            self.medium.inserted()
        return cursor
