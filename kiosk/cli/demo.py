"""``kiosk demo``: the whole system on this machine, to look at and to torment."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from kiosk.cli.asking import REFUSED, Failure, json_option, print_json


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Keep everything here; else a temporary folder.")
@click.option("--seed", default=1, show_default=True, help="Chance: what falls, how, and when the power fails.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8088, show_default=True, help="Of the page; 0: any.")
@click.option("--no-page", is_flag=True, help="Tell the story in lines only.")
@click.option("--headless", is_flag=True, help="No page, no story: deposits and power cuts, then one verdict.")
@click.option("--deposits", type=click.IntRange(1, 10_000), default=20, show_default=True, help="With --headless.")
@click.option("--cuts", type=click.IntRange(0), default=0, show_default=True, help="Power cuts, with --headless.")
@json_option
def demo(
    folder: Path | None,
    seed: int,
    port: int,
    no_page: bool,
    headless: bool,
    deposits: int,
    cuts: int,
    as_json: bool,
) -> None:
    """Start a points server, a simulated bin and the daemon, and watch them.

    \b
    Example: kiosk demo
    Example: kiosk demo --headless --deposits 200 --cuts 20 --seed 1 --json
    Exit codes: 0 both promises held, or the page was ended by Ctrl-C; 1 a credit was lost, doubled or shown too early,
    the run came to no end, or a process died; 2 wrong usage; 130 a headless run was ended by Ctrl-C.
    """
    if importlib.util.find_spec("kiosk.simulator") is None:
        raise Failure("the demo is only in a checkout of the source: clone the repository and run make demo")
    if importlib.util.find_spec("sqlalchemy") is None:
        raise Failure("the demo needs the points server: pip install 'battery-kiosk[server]'")
    if cuts > deposits:
        raise click.UsageError("--cuts: one power cut for each deposit is the most")
    # Not at the top: the simulated world is not part of the installed package.
    from kiosk.simulator.demo.command import run_headless, run_show

    if folder is not None and (folder / "kiosk.toml").exists():
        raise Failure(f"{folder} holds an earlier demo; give an empty folder")
    if not headless:
        sys.exit(run_show(folder, seed=seed, port=None if no_page else port))
    report = run_headless(folder, deposits=deposits, cuts=cuts, seed=seed)
    if as_json:
        print_json(report)
    else:
        for name, value in report.items():
            click.echo(f"{name.replace('_', ' '):22} {value}")
    if not report["ok"]:
        sys.exit(REFUSED)
