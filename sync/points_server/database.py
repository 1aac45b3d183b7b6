"""The points server's database: one writer, and nothing acknowledged before it is on the medium."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from sync.points_server.schema import metadata


def open_database(url: str) -> Engine:
    """Open or create it: ``sqlite:///points.db``, or ``sqlite://`` for one in memory.

    There is one connection, which its user serialises: WAL, ``synchronous=FULL``, transactions that begin with BEGIN
    IMMEDIATE, because one that reads first and then writes fails at once when another writer came between. All else
    is portable SQL; another database needs only another function like this one.
    """
    engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": 5})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        metadata.create_all(connection)
    return engine


def _set_up(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, deferred, and only before some statements.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
