"""``kiosk empty``: the store was emptied."""

from __future__ import annotations

import click

from kiosk.cli.asking import Failure, ask_daemon, config_option, readable
from kiosk.config import Config


@click.command()
@click.option("--note", default="", callback=readable, help="Anything worth keeping: weight, container number.")
@config_option
def empty(note: str, config: Config) -> None:
    """Record that you emptied the store; the count since emptying starts at 0 again.

    \b
    Example: kiosk empty --note "container 12, 18.4 kg"
    Exit codes: 0 recorded, 1 refused with the reason, 2 wrong usage, 3 the daemon is not running.
    """
    reply = ask_daemon(config, {"do": "report_emptied", "note": note})
    if not reply["done"]:
        raise Failure(reply["text"])
    click.echo(reply["text"])
