"""``kiosk config``: the configuration, before the daemon meets it."""

from __future__ import annotations

import click

from kiosk.cli.asking import config_option, json_option, print_json
from kiosk.config import Config


@click.group()
def config() -> None:
    """Check the configuration."""


@config.command()
@config_option
@json_option
def check(config: Config, as_json: bool) -> None:
    """Say every mistake in the configuration at once, each with its line and the remedy.

    \b
    Example: kiosk config check --config /etc/battery-kiosk/kiosk.toml
    Exit codes: 0 no mistake, 2 mistakes.
    """
    if as_json:
        print_json({"mistakes": 0, "state_dir": str(config.state_dir), "pins": dict(config.pins)})
    else:
        click.echo("no mistakes")
