"""``points-server``: the reference points server's commands."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import click

from sync.points_server.app import make_app, make_web_server
from sync.points_server.server import NEXT_CALL_MS, PointsServer
from sync.points_server.tariffs import read_tariff


@click.group(epilog="Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.")
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("points.db"),
    show_default=True,
    help="SQLite file; one process uses it at a time.",
)
@click.pass_context
def main(context: click.Context, database: Path) -> None:
    """A reference points server for battery kiosks.

    Example: points-server bin add bin-1
    """
    context.obj = database


@main.command()
@click.pass_obj
def init(database: Path) -> None:
    """Create the database with its keys and an example tariff.

    Example: points-server --database points.db init
    """
    with _opened(database, create=True):
        click.echo(f"{database} is ready")


@main.group(name="bin")
def bins() -> None:
    """Bins that may enrol."""


@bins.command(name="add")
@click.argument("bin_id")
@click.pass_obj
def add_bin(database: Path, bin_id: str) -> None:
    """Make a bin known and print its one-time enrolment code.

    Example: points-server bin add bin-1
    """
    with _opened(database) as server:
        click.echo(server.add_bin(bin_id))


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def tariff(database: Path, file: Path) -> None:
    """Make the tariff of a TOML or JSON file current; bins are given it when they next call.

    Example: points-server tariff prices.toml
    """
    with _opened(database) as server:
        new = read_tariff(file)
        server.add_tariff(new)
        click.echo(f"tariff {new.version} is current")


@main.command()
@click.argument("bin_id")
@click.argument("generation")
@click.argument("seq", type=click.IntRange(1, 2**63 - 1))
@click.option("--branch", default="", help="Of a forked history: the hash that names the branch.")
@click.pass_obj
def release(database: Path, bin_id: str, generation: str, seq: int, branch: str) -> None:
    """Pay a held deposit what its resident was shown.

    Example: points-server release bin-1 0a1b2c3d4e5f6071 42
    """
    with _opened(database) as server:
        server.release(bin_id, generation, seq, time.time_ns() // 1_000_000, branch)
        click.echo("released")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def journal(database: Path, as_json: bool) -> None:
    """Print every posting, oldest first.

    Example: points-server journal --json
    """
    with _opened(database) as server:
        for line in server.journal():
            if as_json:
                click.echo(json.dumps(line._asdict()))
            else:
                click.echo(f"{line.bin_id}/{line.generation}/{line.seq}  {line.points:+6d}  {line.account}")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8100, show_default=True, help="TCP port.")
@click.option(
    "--next-call-ms",
    type=click.IntRange(1_000),
    default=NEXT_CALL_MS,
    show_default=True,
    help="How soon a bin with nothing to send calls again, in milliseconds.",
)
@click.option("--operator-view", is_flag=True, help="Serve /v1/operator/ledger to loopback; never behind a proxy.")
@click.pass_obj
def serve(database: Path, host: str, port: int, next_call_ms: int, operator_view: bool) -> None:
    """Answer bins until stopped (SIGTERM or Ctrl-C). Put a reverse proxy with TLS in front of it.

    Example: points-server serve --port 8100
    """
    with _opened(database, next_call_ms=next_call_ms) as server:
        make_web_server(make_app(server, operator_view=operator_view), host=host, port=port).run()


@contextlib.contextmanager
def _opened(database: Path, *, create: bool = False, next_call_ms: int = NEXT_CALL_MS) -> Iterator[PointsServer]:
    """The server on its file, under a lock: SQLite before 3.51.3 can corrupt a log that two connections share."""
    if not create and not database.exists():
        raise click.ClickException(f"{database} does not exist; create it with: points-server init")
    try:
        with open(database.with_name(database.name + ".lock"), "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise click.ClickException(f"{database} is in use by another points-server; stop that first") from error
            os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
            url = f"sqlite:///{database.absolute()}"
            server = PointsServer(url, rng=random.SystemRandom(), next_call_ms=next_call_ms)
            try:
                yield server
            finally:
                server.close()
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
