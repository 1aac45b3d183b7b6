"""``kiosk hazard``: latches, on site."""

from __future__ import annotations

import click

from kiosk.cli.asking import Failure, ask_daemon, config_option, json_option, print_json, readable
from kiosk.config import Config


@click.group()
def hazard() -> None:
    """Show and clear latched hazards."""


@hazard.command()
@config_option
@json_option
def show(config: Config, as_json: bool) -> None:
    """Show which hazards are latched.

    \b
    Example: kiosk hazard show
    Exit codes: 0 answered, 2 wrong configuration, 3 the daemon is not running.
    """
    reply = ask_daemon(config, {"do": "status"})
    if as_json:
        print_json({"hazards": reply["hazards"], "temperatures": reply["temperatures"]})
        return
    for name in reply["hazards"]:
        click.echo(f"{name}: latched; look inside, then: kiosk hazard clear --reason TEXT")
    if not reply["hazards"]:
        click.echo("no hazard is latched")


@hazard.command()
@click.option("--reason", required=True, callback=readable, help="What you found and did; goes into the ledger.")
@config_option
def clear(reason: str, config: Config) -> None:
    """Clear every latched hazard. You stand at the bin, have looked inside, and its inputs are good again.

    \b
    Example: kiosk hazard clear --reason "9 V block taped, store emptied, 22 °C"
    Exit codes: 0 cleared, 1 refused with the reason, 2 wrong usage, 3 the daemon is not running.
    """
    if not reason.strip():
        raise click.UsageError("--reason is empty: write what you found and did")
    reply = ask_daemon(config, {"do": "clear_hazards", "reason": reason})
    if not reply["done"]:
        raise Failure(reply["text"])
    click.echo(reply["text"])
