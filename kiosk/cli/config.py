"""``kiosk config``: the configuration, before the daemon meets it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from kiosk.cli.asking import MISUSED, config_path_option, json_option, loaded, print_json
from kiosk.config import ConfigError, load


@click.group()
def config() -> None:
    """Check the configuration."""


@config.command()
@config_path_option
@json_option
@click.pass_context
def check(context: click.Context, config: str, as_json: bool) -> None:
    """Say every mistake in the configuration at once, each with its line and the remedy.

    \b
    Example: kiosk config check --config /etc/battery-kiosk/kiosk.toml
    Exit codes: 0 no mistake, 2 mistakes.
    """
    if not as_json:
        loaded(Path(config))
        click.echo("no mistakes")
        return
    try:
        load(Path(config))
    except ConfigError as error:
        print_json({"mistakes": msgspec.to_builtins(error.mistakes)})
        context.exit(MISUSED)
    print_json({"mistakes": []})
