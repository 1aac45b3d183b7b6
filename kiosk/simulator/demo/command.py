"""What ``kiosk demo`` runs, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from kiosk.simulator.demo.children import ChildDied
from kiosk.simulator.demo.headless import Report, Unfinished, headless
from kiosk.simulator.demo.page import listen, origins, page_server
from kiosk.simulator.demo.show import Show
from kiosk.simulator.demo.stopping import stop_requested

INTERRUPTED = 130


def say(line: str) -> None:
    """On standard error: standard output is the report's."""
    click.echo(line, err=True)


@contextlib.contextmanager
def a_folder(folder: Path | None) -> Iterator[Path]:
    """The one that was named, which stays, or one that goes."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="kiosk-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def run_headless(folder: Path | None, *, deposits: int, cuts: int, seed: int) -> Report:
    """Without a verdict the report says why, and that it is not ok."""
    with a_folder(folder) as place:
        try:
            return asyncio.run(headless(place, deposits=deposits, cuts=cuts, seed=seed, say=say))
        except Unfinished as error:
            return {"ok": False, "problems": [str(error)]}
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def run_show(folder: Path | None, *, seed: int, port: int | None) -> int:
    """Until Ctrl-C; the exit code. ``port`` null: no page, the story in lines."""
    with a_folder(folder) as place:
        return asyncio.run(show_in(place, seed, port, stays=folder is not None))


def how_to_ask(folder: Path, stays: bool) -> str:
    """The command line against this very bin, called as the demo was called."""
    called = Path(sys.argv[0])
    if called.name == "kiosk":
        inside = called.absolute().is_relative_to(Path.cwd())
        kiosk = str(called.absolute().relative_to(Path.cwd()) if inside else called.absolute())
    else:
        kiosk = f"{sys.executable} -m kiosk.cli"
    fate = "" if stays else "\nThat folder goes when the demo ends; kiosk demo --dir FOLDER keeps it."
    config = shlex.quote(str(folder / "kiosk.toml"))
    return f"The command line of this bin, from another terminal:\n    KIOSK_CONFIG={config} {kiosk} status{fate}\n"


async def show_in(folder: Path, seed: int, port: int | None, *, stays: bool) -> int:
    stop = stop_requested()
    listener = None if port is None else listen(port)
    own_origins: tuple[str, ...] = () if listener is None else origins(listener)
    show = Show(folder, seed, own_origins, click.echo)
    page = None if listener is None else page_server(show, own_origins)
    serving = None
    stopping = asyncio.ensure_future(stop.wait())
    starting = asyncio.ensure_future(show.start())
    try:
        click.echo("starting points server, world and daemon; Ctrl-C ends them")
        await first_of(starting, stopping, show.died)
        if not stopping.done():
            await (show.died if show.died.done() else starting)
            if page is not None and listener is not None:
                serving = asyncio.ensure_future(page.serve(sockets=[listener]))
                click.echo(f"\n    {own_origins[0]}\n")
            click.echo(how_to_ask(folder, stays))
            await first_of(stopping, show.died)
        if show.died.done():
            show.died.result()
        return 0
    except (ChildDied, OSError) as error:
        say(str(error))
        return 1
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        if page is not None:
            page.should_exit = True
        await show.close()
        if serving is not None:
            await serving
        if show.died.done():
            show.died.exception()


async def first_of(*awaited: asyncio.Future[Any]) -> None:
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
